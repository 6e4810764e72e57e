import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { formatDiagnostic } from '../../src/adapters/files/diagnostic.ts'
import { openDirectory, type Revision } from '../../src/adapters/files/directory-source.ts'
import { createFastClock } from './fast-clock.ts'
import { until } from './until.ts'

/** Twenty times faster: two looks are 25 ms apart. The file system below is real and as fast as ever. */
const hurried = createFastClock(20)

/** Follows a directory until the test ends, and counts what is read and parsed. */
export function followDirectory(directory: string, { inRealTime = false } = {}) {
  const read: string[] = []
  const parsed: string[] = []
  const restless: string[] = []
  const revisions: Revision[] = []
  const source = openDirectory(directory, {
    clock: inRealTime ? systemClock : hurried,
    observer: {
      fileRead: (path) => read.push(path),
      fileParsed: (path) => parsed.push(path),
      restless: (why) => restless.push(why),
    },
  })
  const stop = new AbortController()
  const ended = (async () => {
    for await (const revision of source.revisions(stop.signal)) revisions.push(revision)
  })()
  const end = async (): Promise<void> => {
    stop.abort()
    await ended
  }
  onTestFinished(end)
  return {
    source,
    read,
    parsed,
    restless,
    revisions,
    end,
    /** The first revision, from now on or before, of which `condition` holds. */
    until: (what: string, condition: (revision: Revision) => boolean): Promise<Revision> =>
      until(what, () => revisions.find(condition)),
    /** Forgets what has been counted and seen so far. */
    forget: (): void => {
      for (const list of [read, parsed, restless, revisions]) list.length = 0
    },
  }
}

export const diagnosticsOf = ({ problems }: Pick<Revision, 'problems'>): string[] =>
  problems.map(formatDiagnostic)
