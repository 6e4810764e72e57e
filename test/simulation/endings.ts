/** What a controller that is told to end leaves behind. */
import { eventsOf } from '../../src/simulator/history.ts'
import type { Past } from './past.ts'

export function* judgeEndings({
  endings,
  routers,
  endsWithinMs,
}: Pick<Past, 'endings' | 'routers' | 'endsWithinMs'>): Generator<string> {
  for (const { sinceMs, atMs, left } of endings) {
    if (atMs - sinceMs > endsWithinMs) yield `end: it took ${atMs - sinceMs} ms`
    for (const { device, services } of left) {
      const { history } = routers.find(({ name }) => name === device)!
      const isDisturbed = eventsOf(history, 'Fault').some((fault) => fault.atMs >= sinceMs)
      if (services.length > 0 && !isDisturbed) yield `end: ${device} was left without ${services.join(', ')}`
    }
  }
}
