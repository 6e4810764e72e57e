/** How long a world takes to come to rest. */
import { eventsOf } from '../../src/simulator/history.ts'
import type { Past, RouterPast } from './past.ts'

/** The longest from the end of the faults to a write in ms, of a router that was away by itself from its return. */
export function settlingMs(
  { routers, writes }: Pick<Past, 'routers' | 'writes'>,
  { calmMs, untilMs }: { calmMs: number; untilMs: number },
): number {
  const returns = new Map(routers.map((router) => [router.name, [...returnsOf(router)]]))
  const waits = writes
    .filter(({ atMs }) => atMs <= untilMs)
    .map(({ atMs, device }) => {
      const returned = returns.get(device)?.findLast((returnMs) => returnMs <= atMs) ?? -Infinity
      return atMs - Math.max(calmMs, returned)
    })
  return waits.reduce((most, wait) => Math.max(most, wait), 0)
}

/** When it booted that had stayed away. */
function* returnsOf({ history }: RouterPast): Generator<number> {
  const boots = eventsOf(history, 'Booted')
  for (const away of eventsOf(history, 'Fault')) {
    const boot = boots.find(({ atMs }) => atMs > away.atMs)
    if (away.kind === 'LateReturn' && boot) yield boot.atMs
  }
}
