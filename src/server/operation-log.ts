import type { Key, Phase, UpgradeOperation } from '../api/resources.ts'
import { isFinished, phaseOf } from '../core/operation.ts'
import { toMs } from '../core/time.ts'
import type { LiveFeed, LiveLine } from '../ports/live-feed.ts'

/** What is to be said of an operation to somebody who has heard everything up to an id. */
export interface LogPart {
  /** What the status remembers of the time before the live lines begin. */
  earlier: readonly LiveLine[]
  /** Live lines between the two that are not kept any more. */
  missed: number
  lines: readonly LiveLine[]
  /** Whether more may come: `Maybe` while an operation has finished and its last line has not been seen. */
  more: 'Yes' | 'Maybe' | 'No'
}

/** Phases and lines that a status holds; ids of live lines are times in ms, far above. */
const maxRemembered = 64

/** The log of one operation after an id. */
export function readLog(
  key: Key,
  operation: UpgradeOperation | undefined,
  { feed, after }: { feed: LiveFeed; after: number },
): LogPart {
  const { lines, missed } = feed.since(key, after)
  // Whoever has heard live lines has heard what came before them.
  const remembered = operation && after < maxRemembered ? rememberedLines(operation, lines) : []
  return { earlier: remembered.filter(({ id }) => id > after), missed, lines, more: moreOf(operation, lines) }
}

function moreOf(operation: UpgradeOperation | undefined, lines: readonly LiveLine[]): LogPart['more'] {
  if (!operation) return 'No'
  if (!isFinished(operation)) return 'Yes'
  // The status is saved before the line is told.
  const isTold = lines.some((line) => line.type === 'Phase' && line.phase === phaseOf(operation))
  return isTold ? 'No' : 'Maybe'
}

/** Phases of which no live line tells, and, where there is no live line at all, the log in the status. */
function rememberedLines({ status }: UpgradeOperation, live: readonly LiveLine[]): LiveLine[] {
  const told = new Set(live.map((line) => (line.type === 'Phase' ? line.phase : undefined)))
  const firstMs = live[0] ? toMs(live[0].time) : Infinity
  const entered = Object.entries(status.times ?? {})
    .filter(([phase, time]) => !told.has(phase as Phase) && toMs(time) <= firstMs)
    .toSorted(([, a], [, b]) => toMs(a) - toMs(b))
  const lines: LiveLine[] = entered.map(([phase, time]) => ({
    id: 0,
    time,
    type: 'Phase',
    phase: phase as Phase,
    message: phase === status.phase ? (status.message ?? '') : '',
  }))
  const verdict = lines.at(-1)
  if (live.length === 0 && verdict) {
    const said = (status.log ?? []).map((text): LiveLine => ({
      id: 0,
      time: verdict.time,
      type: 'Log',
      text,
    }))
    lines.splice(-1, 0, ...said)
  }
  return lines.map((line, index) => ({ ...line, id: index + 1 }))
}
