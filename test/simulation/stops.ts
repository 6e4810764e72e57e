/** I12: what keeps which starts back, and from when to when. */
import {
  inFlash,
  isWithin,
  memoriesOf,
  rulesWithin,
  standing,
  type Memory,
  type Past,
  type PhaseWrite,
  type Rules,
} from './past.ts'

/** A stop holds from a second after it was ordered. */
const graceMs = 1000

export interface Stop {
  what: string
  /** How late a start may be that knew nothing of it. */
  newsMs: number
  fromMs: number
  toMs: number
}

/** The stretches in which something was so in the orders of operators. */
function stretches(
  rules: readonly Rules[],
  { what, newsMs }: Pick<Stop, 'what' | 'newsMs'>,
  isSo: (rule: Rules) => boolean,
): Stop[] {
  const found: Stop[] = []
  let since: number | undefined
  for (const rule of rules) {
    if (isSo(rule)) since ??= rule.fromMs
    else if (since !== undefined) {
      found.push({ what, newsMs, fromMs: since, toMs: rule.fromMs })
      since = undefined
    }
  }
  if (since !== undefined) found.push({ what, newsMs, fromMs: since, toMs: Infinity })
  return found
}

/** From the loss that is one too many on its day until that day is acknowledged. */
export function latchesOf(memory: Memory, { governor, newsMs }: Past): Stop[] {
  const stops: Stop[] = []
  /** Losses that count, and since when they are too many, by day. */
  const days = new Map<string, { lost: number; sinceMs: number | undefined }>()
  const losses = lossesOf(memory).map((each) => ({ ...each, isLoss: true }))
  const facts = [...losses, ...memory.acknowledged.map((each) => ({ ...each, isLoss: false }))]
  const close = (date: string, toMs: number): void => {
    const fromMs = days.get(date)?.sinceMs
    if (fromMs !== undefined) stops.push({ what: `the losses of ${date}`, newsMs, fromMs, toMs })
    days.delete(date)
  }
  for (const { atMs, date, isLoss } of facts.toSorted((a, b) => a.atMs - b.atMs)) {
    if (!isLoss) {
      close(date, atMs)
      continue
    }
    const { lost, sinceMs } = days.get(date) ?? { lost: 0, sinceMs: undefined }
    const isTooMuch = lost + 1 >= governor.maxLostPerDay
    days.set(date, { lost: lost + 1, sinceMs: sinceMs ?? (isTooMuch ? atMs : undefined) })
  }
  for (const date of days.keys()) close(date, Infinity)
  return stops
}

/** The first verdict on each operation that was lost. */
function lossesOf({ writes }: Memory): { atMs: number; date: string }[] {
  const known = new Set<string>()
  return writes.flatMap(({ operation, failureClass, wallMs, atMs }) => {
    if (failureClass !== 'Lost' || known.has(operation)) return []
    known.add(operation)
    return [{ atMs, date: dateOf(wallMs) }]
  })
}

/** YYYY-MM-DD. */
export const dateOf = (wallMs: number): string => new Date(wallMs).toISOString().slice(0, 10)

export function* judgeStop(past: Past): Generator<string> {
  for (const memory of memoriesOf(past)) {
    yield* judgeStopOf(memory, past)
    yield* judgeLifted(memory, past)
  }
}

/** Of losses that are acknowledged nobody is told any more, unless there are too many new ones. */
function* judgeLifted(
  memory: Memory,
  { saidLatched, beginnings, governor, slackMs }: Past,
): Generator<string> {
  // A store in trouble may have taken a count without its verdict.
  if (slackMs > 0) return
  for (const { atMs, date } of saidLatched.filter((said) => isWithin(memory, said))) {
    const lifted = memory.acknowledged.findLast((each) => each.date === date && each.atMs < atMs)
    if (!lifted) continue
    const isSince = (each: { atMs: number }): boolean => each.atMs >= lifted.atMs && each.atMs <= atMs
    const lost = lossesOf(memory).filter((loss) => loss.date === date && isSince(loss)).length
    // Who dies may have counted more than he has told of.
    const untold = beginnings
      .filter((beganMs) => isSince({ atMs: beganMs }))
      .flatMap((beganMs) => standing(memory, beganMs).filter(({ phase }) => inFlash.has(phase))).length
    if (lost + untold < governor.maxLostPerDay)
      yield `the losses of ${date} were acknowledged ${atMs - lifted.atMs} ms before they were said to stop all`
  }
}

function* judgeStopOf(memory: Memory, past: Past): Generator<string> {
  const { rules, leaders, newsMs, haltNewsMs } = past
  const all = [
    ...stretches(rules, { what: 'HALT', newsMs: haltNewsMs }, ({ halted }) => halted),
    // Each of several that all lead knows what it has seen itself.
    ...(leaders === 1 ? latchesOf(memory, past) : []),
  ]
  const ofPolicy = [
    ...stretches(rules, { what: 'Pause', newsMs }, ({ state }) => state === 'Pause' || state === 'Plan'),
    ...stretches(rules, { what: 'Abort', newsMs }, ({ state }) => state === 'Abort'),
  ]
  const intents = new Map<string, PhaseWrite>()
  for (const write of past.writes) intents.set(write.operation, write)
  for (const { atMs, order } of past.sends.filter((send) => isWithin(memory, send))) {
    const write = intents.get(order.operation)
    const stops = write?.policy === undefined ? all : [...all, ...ofPolicy]
    for (const { what, fromMs, toMs, newsMs: lateMs } of stops)
      if (atMs > fromMs + graceMs + lateMs && atMs < toMs)
        yield `${order.operation} was started ${atMs - fromMs} ms after ${what}`
    const build = write?.build
    if (build === undefined) continue
    const within = rulesWithin(rules, atMs - graceMs - newsMs, atMs)
    if (within.every(({ recalled }) => recalled.includes(build)))
      yield `${order.operation} was started when ${build} had been recalled`
  }
}
