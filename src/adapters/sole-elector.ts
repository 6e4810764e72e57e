import type { Elector, Standing } from '../ports/elector.ts'
import { runUntilAborted } from './run-until-aborted.ts'
import { createStandingListeners } from './standing-listeners.ts'

/** Without an election: who asks to lead leads. */
export function createSoleElector({ identity }: { identity: string }): Elector {
  const listeners = createStandingListeners()
  let isLeader = false
  const standing = (): Standing => ({ isLeader, holder: isLeader ? identity : undefined, transitions: 0 })
  const change = (to: boolean): void => {
    isLeader = to
    listeners.tell(standing())
  }
  return {
    async lead(work, signal) {
      if (signal.aborted) return 'Stopped'
      change(true)
      try {
        await runUntilAborted(work, signal)
      } finally {
        change(false)
      }
      return 'Stopped'
    },
    standing,
    onChange: (listener) => listeners.onChange(listener),
  }
}
