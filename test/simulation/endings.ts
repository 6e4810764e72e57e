/** What a controller that is told to end leaves behind. */
import { eventsOf } from '../../src/simulator/history.ts'
import type { Past } from './past.ts'

/** Half of what a pod is given before it is killed. */
const mostMs = 30_000

export function* judgeEndings({
  endings,
  routers,
  slackMs,
}: Pick<Past, 'endings' | 'routers' | 'slackMs'>): Generator<string> {
  for (const { sinceMs, atMs, left } of endings) {
    if (atMs - sinceMs > mostMs + slackMs) yield `end: it took ${atMs - sinceMs} ms`
    for (const { device, services } of left) {
      const { history } = routers.find(({ name }) => name === device)!
      const isDisturbed = eventsOf(history, 'Fault').some((fault) => fault.atMs >= sinceMs)
      if (services.length > 0 && !isDisturbed) yield `end: ${device} was left without ${services.join(', ')}`
    }
  }
}
