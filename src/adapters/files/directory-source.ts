import { ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import { createLoader } from './load-files.ts'
import { emptyRevision, nextRevision, type Revision } from './revision.ts'
import { scan } from './scan.ts'
import { sameSnapshot, type Snapshot } from './snapshot.ts'
import { createWakeUps } from './wake-ups.ts'

export type { Revision } from './revision.ts'

/** Two looks so far apart that see the same make a revision: longer than the pauses of a checkout or a copy. */
const settleMs = 500
/** When a directory that does not come to rest is worth a word. */
const restlessMs = 30_000

/** Hears what the source does; for counting and for telling an operator. */
export interface DirectoryObserver {
  fileRead?: (path: string) => void
  fileParsed?: (path: string) => void
  /** The directory has not held still for half a minute, so changes are not taken up. */
  restless?: (why: string) => void
  /** It was read whole and at rest, changed or not. */
  settled?: () => void
}

export interface DirectoryOptions {
  clock: Clock
  observer?: DirectoryObserver
}

export interface DirectorySource {
  /**
   * The revision of now, then each that differs, as soon as the directory has come to rest; those between may be left
   * out. Ends when the signal is aborted. One iteration at a time.
   */
  revisions(signal: AbortSignal): AsyncIterable<Revision>
  /**
   * The revision of now. @throws ReflashError `Timeout` when the directory does not hold still for half a minute;
   * rejects with the signal's reason.
   */
  readOnce(signal?: AbortSignal): Promise<Revision>
  /** The last revision that was given out. */
  latest(): Revision | undefined
}

/** A directory of manifests as a source of revisions. Opens nothing before it is asked. */
export function openDirectory(
  directory: string,
  { clock, observer = {} }: DirectoryOptions,
): DirectorySource {
  const loader = createLoader({ clock, observer })
  let latest: Revision | undefined
  let shown: Snapshot | undefined

  /** Looks until two looks agree and all files could be read in that state. */
  async function settle(
    signal: AbortSignal | undefined,
    onRestless: (why: string) => void,
  ): Promise<Revision> {
    const startedMs = clock.monotonic()
    let hasTold = false
    for (let before = await scan(directory); ;) {
      await clock.sleep(settleMs, signal)
      const now = await scan(directory)
      const isStill = now.unsettled === undefined && sameSnapshot(before, now)
      // The last thing taken up may still be what is there.
      if (isStill && latest && shown && sameSnapshot(shown, now)) return latest
      const files = isStill ? await loader.load(now, signal) : undefined
      if (files) {
        // A file that could not be read is tried again, although nothing about it has changed.
        shown = files.refused.length > now.refused.length ? undefined : now
        latest = nextRevision({ ...now, ...files }, latest ?? emptyRevision)
        return latest
      }
      before = now
      if (hasTold || clock.monotonic() - startedMs < restlessMs) continue
      hasTold = true
      onRestless(now.unsettled ?? 'its files keep changing')
    }
  }

  async function* revisions(signal: AbortSignal): AsyncGenerator<Revision> {
    const wakeUps = createWakeUps(directory, clock)
    try {
      let given: Revision | undefined
      while (!signal.aborted) {
        // Watching begins before looking, so that nothing falls between the two.
        await wakeUps.follow()
        const revision = await settle(signal, (why) => observer.restless?.(why))
        observer.settled?.()
        if (revision !== given) yield revision
        given = revision
        await wakeUps.next(signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await wakeUps.close()
    }
  }

  return {
    revisions,
    latest: () => latest,
    readOnce: (signal) =>
      settle(signal, (why) => {
        throw new ReflashError(
          'Timeout',
          `${directory} did not hold still for ${restlessMs / 1000} s: ${why}`,
        )
      }),
  }
}
