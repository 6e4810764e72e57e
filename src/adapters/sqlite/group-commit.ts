import type { DatabaseSync } from 'node:sqlite'

/** Runs `work` together with what else is submitted meanwhile, all in one transaction. */
export interface GroupCommit {
  /**
   * Resolves with what `work` returned once that would survive a power cut, after `onCommitted` was called; rejects with
   * what it threw, or with what kept the transaction from being committed. Works run in order, one after the other.
   */
  submit<T>(work: () => T, onCommitted: (value: T) => void): Promise<T>
  /** Commits what has been submitted now. */
  flush(): void
}

interface Submitted {
  /** Does the work; what comes back is called when that has been committed. */
  run: () => () => void
  fail: (error: unknown) => void
}

/**
 * One transaction for all that comes in one turn of the event loop, or while the process rests from the one before for
 * as long as that took: a commit costs the disk as much for many changes as for one, and nothing else runs meanwhile.
 */
export function createGroupCommit(
  connection: DatabaseSync,
  transaction: (work: () => void) => void,
): GroupCommit {
  let submitted: Submitted[] = []
  let restsUntil = -Infinity
  let cancel = (): void => undefined

  const schedule = (): void => {
    const restMs = restsUntil - performance.now()
    if (restMs > 0) {
      const timer = setTimeout(flush, restMs)
      cancel = () => clearTimeout(timer)
    } else {
      const timer = setImmediate(flush)
      cancel = () => clearImmediate(timer)
    }
  }
  const flush = (): void => {
    cancel()
    const begun = performance.now()
    const group = submitted
    submitted = []
    if (group.length === 0) return
    const settled: (() => void)[] = []
    try {
      transaction(() => {
        for (const { run, fail } of group) {
          try {
            settled.push(run())
          } catch (error) {
            // SQLite may have rolled back by itself: then nothing of the group has been done.
            if (!connection.isTransaction) throw error
            settled.push(() => fail(error))
          }
        }
      })
    } catch (error) {
      for (const { fail } of group) fail(error)
      return
    }
    restsUntil = 2 * performance.now() - begun
    for (const settle of settled) settle()
  }

  return {
    submit: (work, onCommitted) =>
      new Promise((resolve, reject) => {
        const run = (): (() => void) => {
          const value = work()
          return () => {
            onCommitted(value)
            resolve(value)
          }
        }
        if (submitted.push({ run, fail: reject }) === 1) schedule()
      }),
    flush,
  }
}
