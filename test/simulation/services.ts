/** Routers whose services are stopped for an image that does not come any more. */
import { eventsOf, type RouterEvent } from '../../src/simulator/history.ts'
import { isAtWork, minuteMs, type Past, type RouterPast } from './past.ts'

/** A verdict is written before what it gives up is undone. */
const undoneMs = minuteMs

type Lived = Pick<Past, 'routers' | 'writes' | 'beginnings' | 'newsMs' | 'slackMs' | 'leaders'> & {
  rest: Pick<Past['rest'], 'atMs'>
}

/** Of one controller that hears of everything at once, as long as it lives and nothing goes wrong with the router. */
export function* judgeServices(past: Lived): Generator<string> {
  if (past.leaders > 1 || past.newsMs > 0 || past.slackMs > 0) return
  for (const router of past.routers) {
    for (const { fromMs, toMs } of stopsOf(router, past.rest.atMs)) {
      const isWithin = (atMs: number): boolean => atMs >= fromMs && atMs <= toMs
      const isDisturbed =
        past.beginnings.some(isWithin) ||
        router.history.some((event) => disturbances.has(event.type) && isWithin(event.atMs))
      const atWork = past.writes.findLast(
        ({ device, phase, atMs }) => device === router.name && atMs <= fromMs && isAtWork(phase),
      )
      const givenUp = past.writes.find(
        ({ uid, phase, atMs }) => uid === atWork?.uid && atMs >= fromMs && !isAtWork(phase),
      )
      if (givenUp && !isDisturbed && toMs > givenUp.atMs + undoneMs)
        yield `services: ${router.name} was left without its services when ${givenUp.operation} was ${givenUp.phase}`
    }
  }
}

const disturbances = new Set<RouterEvent['type']>(['Fault', 'AuthRefused', 'WentDown'])
const ends = new Set<RouterEvent['type']>(['ServicesStarted', 'Booted'])

/** From when to when its services were stopped. */
function stopsOf({ history }: RouterPast, endMs: number): { fromMs: number; toMs: number }[] {
  return eventsOf(history, 'ServicesStopped').map(({ atMs: fromMs }) => {
    const end = history.find(({ type, atMs }) => ends.has(type) && atMs >= fromMs)
    return { fromMs, toMs: end?.atMs ?? endMs }
  })
}
