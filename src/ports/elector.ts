import type { ReflashError } from '../core/errors.ts'

/** Who leads, as far as one process knows. */
export interface Standing {
  isLeader: boolean
  /** Who was last seen to lead; undefined: nobody. */
  holder: string | undefined
  /** How often the leader has changed. */
  transitions: number
  /** When our leadership was last confirmed, in monotonic ms; only of a leader. */
  renewedAt?: number
  /** Why the election cannot be followed now. */
  failure?: ReflashError
}

/** Lets one of several processes work. That saves work and is no fence: writes and devices have their own. */
export interface Elector {
  /**
   * Waits until it leads and then runs `work`, once. The signal of `work` is aborted when the given one is, and when
   * leadership is lost. Resolves when `work` has ended: with `Lost` if leadership was, else with `Stopped`, and then it
   * was given back. Until `work` has ended it leads on. Rejects with what `work` rejects with, other than the reason of
   * its signal. One call at a time.
   * @throws ReflashError that waiting does not cure, from the election.
   */
  lead(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<'Stopped' | 'Lost'>

  /**
   * Looks at the clock: after a pause of the process it says the truth at once, and aborts the signal, where timers may
   * come a moment later. To be asked before what only a leader may do.
   */
  standing(): Standing

  /** Calls back, never throwing, after leader, holder or failure have changed; the returned function ends that. */
  onChange(listener: (standing: Standing) => void): () => void
}
