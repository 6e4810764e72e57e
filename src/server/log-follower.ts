import type { Key } from '../api/resources.ts'
import type { Fleet } from '../controllers/fleet.ts'
import type { Clock } from '../ports/clock.ts'
import type { LiveFeed, LiveLine } from '../ports/live-feed.ts'
import type { LogFormat } from './log-format.ts'
import { readLog, type LogPart } from './operation-log.ts'
import type { TextStream } from './text-stream.ts'

const heartbeatMs = 15_000
/** An operation whose last line does not come: it was told by another process, or never. */
const lastLineMs = 2000
const maxLinesAtOnce = 100

export interface FollowOptions {
  fleet: Fleet
  feed: LiveFeed
  clock: Clock
  /** Lines after this id. */
  after: number
  /** Whether to wait for what comes, until the operation has finished. */
  isFollowing: boolean
  format: LogFormat
  /** Takes out of a text what the reader may not see. */
  hide: (text: string) => string
}

/**
 * Writes a log to one reader until it ends or the reader has gone. Keeps one number, and asks what is above it: however
 * many lines there are, a slow reader costs no memory.
 */
export async function writeLog(key: Key, options: FollowOptions, stream: TextStream): Promise<void> {
  const { signal } = stream
  const { fleet, feed, clock, format, isFollowing } = options
  let { after } = options
  let hasBegun = false
  let hasEnded = false
  /** Since when a finished operation owes its last line. */
  let owingSinceMs: number | undefined
  let isWoken = false
  let wake = (): void => {}
  const stopListening = feed.onChange(key, () => {
    isWoken = true
    wake()
  })

  /** Everything that can be said now; '' when there is nothing. */
  const say = (): string => {
    isWoken = false
    const part = readLog(key, fleet.get('UpgradeOperation', key), { feed, after })
    const all = [...part.earlier, ...part.lines]
    const fresh = all.slice(0, maxLinesAtOnce)
    after = fresh.at(-1)?.id ?? after
    const texts = fresh.map((line) => format.line(hidden(line, options.hide)))
    if (part.missed > 0) texts.splice(part.earlier.length, 0, format.missed(part.missed))
    if (!hasBegun) texts.unshift(format.begin)
    hasBegun = true
    hasEnded = fresh.length === all.length && (!isFollowing || isOver(part.more))
    if (hasEnded && part.more !== 'Yes') texts.push(format.end)
    return texts.join('')
  }

  const isOver = (more: LogPart['more']): boolean => {
    owingSinceMs = more === 'Maybe' ? (owingSinceMs ?? clock.monotonic()) : undefined
    if (owingSinceMs === undefined) return more === 'No'
    return clock.monotonic() - owingSinceMs >= lastLineMs
  }

  /** Until there is something new to look at. Returns whether nothing came for the time of a heartbeat. */
  const wait = async (): Promise<boolean> => {
    if (isWoken || signal.aborted) return false
    const { promise, resolve } = Promise.withResolvers<void>()
    const goOn = (): void => resolve()
    wake = goOn
    signal.addEventListener('abort', goOn, { once: true })
    const cancel = clock.after(owingSinceMs === undefined ? heartbeatMs : lastLineMs, goOn)
    await promise
    cancel()
    signal.removeEventListener('abort', goOn)
    return !isWoken && !signal.aborted && owingSinceMs === undefined
  }

  try {
    while (!signal.aborted) {
      const text = say()
      if (text !== '') await stream.write(text)
      if (hasEnded) return
      if (text === '' && (await wait()) && format.heartbeat !== '') await stream.write(format.heartbeat)
    }
  } finally {
    stopListening()
  }
}

function hidden(line: LiveLine, hide: (text: string) => string): LiveLine {
  switch (line.type) {
    case 'Phase':
      return { ...line, message: hide(line.message) }
    case 'Log':
      return { ...line, text: hide(line.text) }
    case 'Progress':
      return line
  }
}
