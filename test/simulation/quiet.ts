/** What can be asked of a world in which nothing goes wrong: everything goes right, exactly once, and at once. */
import { eventsOf } from '../../src/simulator/history.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { minuteMs, type Past } from './past.ts'

const target = knownReleases['24.10.8']

/** @param hasBadObject One that will never be upgraded. */
export function* judgeQuiet({ routers, rest, leaders }: Past, hasBadObject: boolean): Generator<string> {
  for (const { name, history } of routers) {
    const flashes = eventsOf(history, 'FlashWritten').length
    if (eventsOf(history, 'Booted').at(-1)?.release.revision !== target.revision)
      yield `quiet: ${name} is not on target`
    if (flashes !== 1) yield `quiet: ${name} was flashed ${flashes} times`
    const refused = eventsOf(history, 'Guard').filter(({ verdict }) => verdict !== 0)
    if (refused.length > 0 && leaders === 1)
      yield `quiet: ${name} refused ${refused.length} starts, the first with ${refused[0]!.verdict}`
  }
  const succeeded = rest.operations.filter(({ status }) => status.phase === 'Succeeded').length
  if (succeeded !== routers.length && !hasBadObject)
    yield `quiet: ${succeeded} of ${routers.length} operations succeeded`
}

/** From when somebody may begin to the first upgrade. */
const lookMs = 5000
/** From the first knock at a router that has booted to its verdict. */
const verdictMs = 4000
/** From when the limits allow one more upgrade until it begins. */
const admissionMs = 1000

/** Of one controller that lives on, and of upgrades that all succeed: no slot is left empty, and nobody waits for a verdict. */
export function* judgePrompt(past: Past, sinceMs = 0): Generator<string> {
  const writes = past.writes.filter(({ atMs }) => atMs >= sinceMs)
  const begun = new Map<string, number>()
  const endedMs: number[] = []
  for (const { operation, phase, device, atMs } of writes) {
    if (phase !== 'Queued' && !begun.has(operation)) begun.set(operation, atMs)
    if (phase !== 'Succeeded') continue
    endedMs.push(atMs)
    const bootMs = bootedMs(past, device, atMs)
    if (atMs - bootMs > past.knockMs + verdictMs)
      yield `prompt: ${device} booted at ${bootMs} ms, its verdict came at ${atMs} ms`
  }
  const { maxConcurrent, startsPerMinute } = past.rules.at(-1)!
  const slots = Math.min(maxConcurrent, past.governor.maxInFlight)
  const perMinute = Math.min(startsPerMinute, past.governor.maxStartsPerMinute)
  const begunMs = [...begun.values()]
  for (const [index, atMs] of begunMs.entries()) {
    const slotMs = (endedMs[index - slots] ?? -Infinity) + admissionMs
    const turnMs = (begunMs[index - perMinute] ?? -Infinity) + minuteMs + admissionMs
    const mayMs = Math.max(slotMs, turnMs, sinceMs + lookMs)
    if (atMs > mayMs) yield `prompt: an upgrade began at ${atMs} ms, and might have by ${mayMs} ms`
  }
}

function bootedMs({ routers }: Past, device: string, beforeMs: number): number {
  const { history } = routers.find(({ name }) => name === device)!
  return eventsOf(history, 'Booted').findLast(({ atMs }) => atMs <= beforeMs)!.atMs
}
