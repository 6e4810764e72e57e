import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import type { ApiAnswer, ApiRequest, ApiStream, Transport } from '../../src/adapters/kubernetes/transport.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { fail, type ApiServer } from './api-server.ts'
import type { Life } from './mortal.ts'

/** What may befall one request, one answer or one event. */
const mishaps = {
  /** The request takes so long that it may arrive after it was given up. */
  SlowRequest: 0.03,
  SlowAnswer: 0.15,
  LostRequest: 0.03,
  /** What was asked is done. */
  LostAnswer: 0.05,
  Conflict: 0.1,
  TooManyRequests: 0.1,
  InternalError: 0.1,
  /** Something on the way answers with a page for people. */
  ForeignPage: 0.05,
  /** A list shows what was some changes ago. */
  StaleList: 0.3,
  /** A list, a page of one, or a watch would begin at a version that is kept no more. */
  Expired: 0.1,
  LateNews: 0.1,
  DoubledNews: 0.1,
  /** The watch breaks, and what was on its way is dropped. */
  BrokenWatch: 0.05,
} as const
/** What lasts for a while. */
const outages = {
  /** For everybody: no connection, and none that stays. */
  ServerDown: true,
  /** Requests do not arrive; watches go on telling. */
  RequestsCut: true,
  /** Requests arrive, and are done; neither answers nor news come back. */
  AnswersCut: true,
  /** Watches are silent, and requests are answered. */
  NewsCut: true,
} as const
type Mishap = keyof typeof mishaps
type Outage = keyof typeof outages
/** `ReorderedKinds`: of two changes of two kinds the later one was told first. Nobody makes it; it comes of the others. */
export type NetworkFault = Mishap | Outage | 'ReorderedKinds'
const mishapKinds = Object.keys(mishaps) as Mishap[]
const outageKinds = Object.keys(outages) as Outage[]
export const networkFaults: readonly NetworkFault[] = [...mishapKinds, ...outageKinds, 'ReorderedKinds']

/** Within this an answer comes. */
const answerMs = 40
export const requestLimitMs = 30_000
/** What somebody else is told who is asked too often. */
const retryAfterMs = 1000
const maxStaleBy = 20
const secondMs = 1000
const minuteMs = 60_000
/** As many requests in one instant come of a loop that waits for nothing. */
const maxAtOnce = 1000

/** Where one controller stands in the network, in this life or another. */
interface Place {
  outage: Outage | undefined
}

/** The network between an API server and the controllers, which does what the seed says. */
export interface UnreliableNetwork {
  /** The way of one process from one place; `onRequest` hears of each that is sent. */
  transport(options: {
    place: number
    /** Unlike that of any other way. */
    name: string
    life: Life
    onRequest: (request: ApiRequest) => void
  }): Transport
  /** From here on nothing goes wrong. */
  calm(): void
  readonly faults: ReadonlyMap<NetworkFault, number>
  /** The most requests that one process sent within a second, and a minute, in which nobody answered it. */
  readonly mostUnanswered: { perSecond: number; perMinute: number }
}

export function createUnreliableNetwork(parts: {
  server: ApiServer
  clock: Clock
  random: SeededRandom
  places: number
}): UnreliableNetwork {
  const { server, clock, random } = parts
  const faults = new Map<NetworkFault, number>()
  const mostUnanswered = { perSecond: 0, perMinute: 0 }
  const places: Place[] = Array.from({ length: parts.places }, () => ({ outage: undefined }))
  const rates = drawRates(random.fork('rates'))
  let isCalm = false
  let isDown = false
  let breakAll = new AbortController()

  const count = (fault: NetworkFault): true => {
    faults.set(fault, (faults.get(fault) ?? 0) + 1)
    return true
  }
  /** Whether this goes wrong now. */
  const befalls = (mishap: Mishap, draws: SeededRandom): boolean =>
    !isCalm && draws.chance(rates[mishap]) && count(mishap)

  /** Now and then something fails for seconds, minutes, or for so long that the lead is lost. */
  async function makeOutages(draws: SeededRandom, kinds: readonly Outage[], set: SetOutage): Promise<void> {
    for (;;) {
      await clock.sleep(draws.integer(secondMs, draws.pick([minuteMs, 10 * minuteMs, 60 * minuteMs])))
      if (isCalm) return
      const outage = draws.pick(kinds)
      count(outage)
      set(outage)
      await clock.sleep(draws.integer(secondMs, draws.pick([minuteMs, 5 * minuteMs, 20 * minuteMs])))
      set(undefined)
    }
  }
  type SetOutage = (outage: Outage | undefined) => void
  const setDown: SetOutage = (outage) => {
    isDown = outage !== undefined && !isCalm
    if (!isDown) return
    breakAll.abort(unavailable('closed the connection'))
    breakAll = new AbortController()
  }
  const own = outageKinds.filter((kind) => kind !== 'ServerDown')
  void makeOutages(random.fork('server'), ['ServerDown'], setDown)
  for (const [index, place] of places.entries())
    void makeOutages(random.fork(`place ${index}`), own, (outage) => {
      place.outage = isCalm ? undefined : outage
    })

  return {
    faults,
    mostUnanswered,
    calm() {
      isCalm = true
      setDown(undefined)
      for (const place of places) place.outage = undefined
    },
    transport({ place: index, name, life, onRequest }) {
      const place = places[index]!
      const draws = random.fork(name)
      /** Since somebody was last answered, within a minute. */
      const sent: number[] = []
      /** Of the newest change that was told, of any kind. */
      let newest = 0

      const note = async (request: ApiRequest): Promise<void> => {
        if (!life.alive()) await never
        onRequest(request)
        const now = clock.monotonic()
        const isAnswered = !isDown && place.outage !== 'RequestsCut' && place.outage !== 'AnswersCut'
        if (isAnswered) {
          sent.length = 0
          return
        }
        sent.push(now)
        while (sent[0]! <= now - minuteMs) sent.shift()
        if (sent.length > maxAtOnce && sent.at(-maxAtOnce) === now) {
          mostUnanswered.perSecond = Infinity
          await never
        }
        const inSecond = sent.filter((at) => at > now - secondMs).length
        mostUnanswered.perSecond = Math.max(mostUnanswered.perSecond, inSecond)
        mostUnanswered.perMinute = Math.max(mostUnanswered.perMinute, sent.length)
      }
      const alive = async <T>(result: Promise<T>): Promise<T> => {
        try {
          return await result
        } finally {
          if (!life.alive()) await never
        }
      }

      const isList = (asked: ApiRequest): boolean =>
        asked.method === 'GET' && server.kindOf(asked) !== undefined && !asked.path.includes('/namespaces/')
      /** What the server says without doing anything. */
      const refusal = (asked: ApiRequest): ApiAnswer | undefined => {
        const { method, query } = asked
        if (befalls('TooManyRequests', draws))
          return { ...fail(429, 'TooManyRequests'), retryAfterMs: draws.pick([0, retryAfterMs]) }
        if (befalls('InternalError', draws)) return fail(draws.pick([500, 503, 504]), 'InternalError')
        const mayExpire = isList(asked) || asked.path.endsWith('/configmaps')
        if (befalls('ForeignPage', draws))
          return { status: draws.pick([200, 404, 502]), body: '<html>Sorry</html>' }
        if (mayExpire && (query?.['continue'] || draws.chance(1 / 2)) && befalls('Expired', draws))
          return fail(410, 'Expired')
        if ((method === 'PATCH' || method === 'PUT') && befalls('Conflict', draws))
          return fail(409, 'Conflict')
        return undefined
      }
      const request = async (asked: ApiRequest): Promise<ApiAnswer> => {
        await note(asked)
        const { limitMs = requestLimitMs, signal } = asked
        if (isDown) throw await refused(signal)
        const isLost = befalls('LostRequest', draws) || place.outage === 'RequestsCut'
        let thereMs = draws.integer(1, answerMs / 2)
        if (befalls('SlowRequest', draws)) thereMs += draws.integer(0, 2 * requestLimitMs)
        let answer = refusal(asked)
        const staleBy = isList(asked) && befalls('StaleList', draws) ? draws.integer(1, maxStaleBy) : 0
        // The server acts whether or not anybody waits for it still.
        if (!isLost && !answer)
          clock.after(thereMs, () => {
            if (!isDown) void server.answer(asked, staleBy).then((given) => (answer = given))
          })
        let backMs = draws.integer(1, answerMs / 2)
        if (befalls('SlowAnswer', draws)) backMs += draws.integer(0, requestLimitMs / 2)
        const totalMs = thereMs + backMs
        const isBroken = isLost || befalls('LostAnswer', draws)
        // A broken connection is noticed at once, or never.
        const waitMs =
          isBroken && draws.chance(1 / 2) ? totalMs : isBroken ? limitMs : Math.min(totalMs, limitMs)
        await clock.sleep(Math.min(waitMs, limitMs), signal)
        const isHeard = !isBroken && totalMs <= limitMs && place.outage !== 'AnswersCut' && !isDown
        if (isHeard && answer) return answer
        throw unavailable('did not answer')
      }

      const stream = async (asked: ApiRequest): Promise<ApiStream> => {
        await note(asked)
        const { query = {}, signal = new AbortController().signal } = asked
        if (isDown) throw await refused(signal)
        await clock.sleep(draws.integer(2, answerMs), signal)
        if (place.outage === 'RequestsCut' || place.outage === 'AnswersCut') await aborted(signal)
        const no = refusal(asked)
        if (no) {
          const text = typeof no.body === 'string' ? no.body : JSON.stringify(no.body)
          return { ...no, lines: lineOf(text), text: async () => text }
        }
        const either = AbortSignal.any([signal, breakAll.signal])
        const lines = server.watch({
          kind: server.kindOf(asked)!,
          from: Number(query['resourceVersion']),
          lastsMs: Number(query['timeoutSeconds']) * 1000,
          signal: either,
        })
        return { status: 200, lines: carried(lines, either), text: async () => '' }
      }
      async function* carried(lines: AsyncIterable<string>, signal: AbortSignal): AsyncGenerator<string> {
        const iterator = lines[Symbol.asyncIterator]()
        for (;;) {
          const { done, value: line } = await alive(iterator.next())
          if (done) return
          const delayMs = befalls('LateNews', draws)
            ? draws.integer(0, 10 * secondMs)
            : draws.integer(1, answerMs)
          await alive(clock.sleep(delayMs, signal))
          while (place.outage === 'NewsCut' || place.outage === 'AnswersCut')
            await alive(clock.sleep(secondMs, signal))
          if (befalls('BrokenWatch', draws)) throw unavailable('closed the connection')
          if (befalls('Expired', draws)) {
            yield JSON.stringify({ type: 'ERROR', object: fail(410, 'Expired').body })
            return
          }
          noteOrder(line)
          yield line
          if (befalls('DoubledNews', draws)) yield line
        }
      }
      const noteOrder = (line: string): void => {
        if (line.startsWith('{"type":"BOOKMARK"')) return
        const version = Number(/"resourceVersion":"(\d+)"/.exec(line)![1])
        if (version < newest) count('ReorderedKinds')
        newest = Math.max(newest, version)
      }
      /** Says at once that nobody listens. */
      const refused = async (signal: AbortSignal | undefined): Promise<ReflashError> => {
        await clock.sleep(1, signal)
        return unavailable('refused the connection')
      }
      return {
        request: (asked) => alive(request(asked)),
        stream: (asked) => alive(stream(asked)),
        close: async () => {},
      }
    },
  }
}

const never = new Promise<never>(() => {})
const unavailable = (why: string): ReflashError =>
  new ReflashError('ServerUnavailable', `the API server ${why}`)
/** Some mishaps happen in a world, the others never: what always happens together hides what happens alone. */
function drawRates(random: SeededRandom): Record<Mishap, number> {
  const rate = (most: number): number => (random.chance(1 / 2) ? random() * most : 0)
  return Object.fromEntries(mishapKinds.map((kind) => [kind, rate(mishaps[kind])])) as Record<Mishap, number>
}

/** Rejects with the reason of the signal. */
const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason as Error)
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })

async function* lineOf(text: string): AsyncGenerator<string> {
  yield text
}
