import type { Clock } from '../ports/clock.ts'

/** Answers to questions that cost something. */
export interface AnswerCache<T> {
  /** Whether `get` would not have to ask. */
  has(key: string): boolean
  /** The answer that is kept, or that of `ask`; who wants the same meanwhile waits for the same. Failures are not kept. */
  get(key: string, ask: () => Promise<T>): Promise<T>
}

/** Keeps each answer for a time of its own, counted from the question, and the latest of them when there are too many. */
export function createAnswerCache<T>(options: {
  clock: Pick<Clock, 'monotonic'>
  maxAnswers: number
  lifetimeMs: (answer: T) => number
}): AnswerCache<T> {
  const { clock, maxAnswers, lifetimeMs } = options
  const kept = new Map<string, { answer: T; untilMs: number }>()
  const asking = new Map<string, Promise<T>>()

  const fresh = (key: string): { answer: T } | undefined => {
    const found = kept.get(key)
    return found && clock.monotonic() < found.untilMs ? found : undefined
  }
  const askFor = async (key: string, ask: () => Promise<T>): Promise<T> => {
    const askedMs = clock.monotonic()
    try {
      const answer = await ask()
      kept.delete(key)
      kept.set(key, { answer, untilMs: askedMs + lifetimeMs(answer) })
      if (kept.size > maxAnswers) kept.delete(kept.keys().next().value!)
      return answer
    } finally {
      asking.delete(key)
    }
  }

  return {
    has: (key) => asking.has(key) || fresh(key) !== undefined,
    async get(key, ask) {
      const found = fresh(key)
      if (found) return found.answer
      let pending = asking.get(key)
      if (!pending) asking.set(key, (pending = askFor(key, ask)))
      return pending
    },
  }
}
