import type { Elector, Standing } from '../ports/elector.ts'

/** Who wants to hear of changes in leader, holder or failure. */
export interface StandingListeners extends Pick<Elector, 'onChange'> {
  /** How things stand now; what was told before is not told again. */
  tell(standing: Standing): void
}

export function createStandingListeners(): StandingListeners {
  const listeners = new Set<(standing: Standing) => void>()
  let told = ''
  return {
    tell(standing) {
      const { isLeader, holder, failure } = standing
      const telling = JSON.stringify([isLeader, holder, failure?.code])
      if (telling === told) return
      told = telling
      for (const listener of listeners) listener(standing)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
