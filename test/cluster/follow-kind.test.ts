/** Following a kind over a wire and a server that misbehave, in virtual time. */
import { afterEach, describe, expect, test } from 'vitest'
import { createManualClock, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { followKind, type RawEvent } from '../../src/adapters/kubernetes/follow-kind.ts'
import { createTransport } from '../../src/adapters/kubernetes/transport.ts'
import { startCollectionApi, type CollectionApi } from '../support/collection-api.ts'
import { startHttpFaultProxy, type HttpFaultProxy, type LoggedRequest } from '../support/http-fault-proxy.ts'
import { isWatch } from '../support/http-faults.ts'
import { mostWithin } from '../support/most-within.ts'
import { plainAccess } from '../support/plain-access.ts'
import { until } from '../support/until.ts'

const path = '/apis/reflash.dev/v1alpha1/devices'
const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

interface Following {
  api: CollectionApi
  proxy: HttpFaultProxy
  clock: ManualClock
  events: RawEvent[]
  /** What is known of objects by now. */
  known: () => string[]
  told: (type: RawEvent['type']) => number
  lists: () => LoggedRequest[]
  watches: () => LoggedRequest[]
  /** Lets virtual time pass in steps, and what is under way on the wire arrive after each. */
  pass: (ms: number) => Promise<undefined>
  stop: () => Promise<void>
}

/** Follows a collection that has these objects, until a first watch runs. */
async function following(
  names: readonly string[] = ['a'],
  random = 0.5,
  labelSelector = '',
): Promise<Following> {
  const clock = createManualClock()
  const api = await startCollectionApi()
  cleanUps.push(() => api.close())
  api.put(...names)
  const proxy = await startHttpFaultProxy({ to: api.origin, clock })
  cleanUps.push(() => proxy.close())
  const { events, stop } = startFollowing(proxy, clock, { random, labelSelector })
  const lists = () => proxy.requests.filter((request) => !isWatch(request) && request.path === path)
  const watches = () => proxy.requests.filter(isWatch)
  await until('a first watch', () => api.watches() === 1)
  await until('its first word', () => events.some(({ type }) => type === 'Bookmark'))
  return {
    api,
    proxy,
    clock,
    events,
    known: () => knownAfter(events),
    told: (type) => events.filter((event) => event.type === type).length,
    lists,
    watches,
    async pass(ms) {
      for (let left = ms; left > 0; left -= 250) {
        await clock.advance(Math.min(250, left))
        await fetch(`${api.origin}/`)
      }
      return undefined
    },
    stop,
  }
}

function startFollowing(
  proxy: HttpFaultProxy,
  clock: ManualClock,
  { random, labelSelector }: { random: number; labelSelector: string },
) {
  const transport = createTransport({ access: plainAccess(proxy.origin), clock, userAgent: 'test' })
  const stopping = new AbortController()
  const events: RawEvent[] = []
  const ended = (async () => {
    const options = { transport, clock, random: () => random, path, labelSelector }
    for await (const event of followKind({ ...options, signal: stopping.signal })) events.push(event)
  })()
  const stop = async (): Promise<void> => {
    stopping.abort()
    await ended
  }
  cleanUps.push(async () => {
    await stop()
    await transport.close()
  })
  return { events, stop }
}

function knownAfter(events: readonly RawEvent[]): string[] {
  const known = new Set<string>()
  for (const event of events) {
    if (event.type === 'Listed') {
      known.clear()
      for (const { metadata } of event.objects) known.add(metadata.name)
    } else if (event.type === 'Deleted') known.delete(event.object.metadata.name)
    else if ('object' in event) known.add(event.object.metadata.name)
  }
  return [...known]
}

/** Time goes on until something has come about. */
const passUntil = (what: string, condition: () => boolean, { pass }: Following) =>
  until(what, async () => condition() || (await pass(250)))
const knows = (name: string, at: Following) => passUntil(name, () => at.known().includes(name), at)

test('a selector is on every list and every watch', async () => {
  const at = await following(['a'], 0.5, 'shard=north')
  at.api.compact()
  at.api.endWatches()
  await passUntil('another watch', () => at.watches().length > 1 && at.lists().length > 1, at)
  const selectors = at.proxy.requests
    .filter((asked) => asked.path === path)
    .map(({ query }) => query.get('labelSelector'))
  expect(new Set(selectors)).toEqual(new Set(['shard=north']))
})

describe('silence', () => {
  test('a watch that has gone silent for ever is asked again from where it was, and nothing is listed for it', async () => {
    const at = await following()
    at.api.put('b')
    await knows('b', at)
    at.proxy.add({ kind: 'stall' }, { watch: true })
    at.api.put('c')
    await at.pass(89_000)
    expect(at.watches()).toHaveLength(1)
    at.proxy.clear()
    at.proxy.add({ kind: 'stall' }, { watch: true, times: 1 })
    await knows('c', at)
    expect(at.lists()).toHaveLength(1)
  })

  test('a connection that dies without a word is given up', async () => {
    const at = await following()
    at.proxy.tcp.add({ kind: 'stall' }, { only: 'living' })
    at.api.put('b')
    await at.pass(90_000)
    await knows('b', at)
    expect(at.lists()).toHaveLength(1)
    expect(at.watches().at(-1)!.query.get('resourceVersion')).toBe('11')
  })

  test('a watch that is never answered is told, and tried again', async () => {
    const at = await following()
    await at.pass(2000)
    at.api.endWatches()
    at.proxy.add({ kind: 'stall' }, { watch: true })
    await passUntil('the next watch', () => at.watches().length === 2, at)
    await at.pass(31_000)
    await until('it is told', () => at.told('Interrupted') === 1)
    await passUntil('a second try', () => at.watches().length === 3, at)
    at.proxy.clear()
    at.api.put('b')
    await knows('b', at)
  })

  test('a healthy watch in which nothing happens is left alone', async () => {
    const at = await following()
    for (let minute = 0; minute < 4; minute += 1) {
      await at.pass(60_000)
      at.api.bookmark()
      await until('the bookmark', () => at.told('Bookmark') === minute + 2)
    }
    await at.pass(40_000)
    expect([at.watches(), at.lists()].map(({ length }) => length)).toEqual([1, 1])
    expect(at.told('Interrupted')).toBe(0)
  })

  test.each([
    [0, 290],
    [0.999, 590],
  ])(
    'a watch has an end of its own, whatever the server does (%d)',
    async (random, seconds) => {
      const at = await following(['a'], random)
      expect(at.watches()[0]!.query.get('timeoutSeconds')).toBe(`${seconds}`)
      for (let passed = 0; passed < seconds + 4; passed += 1) {
        await at.pass(1000)
        if (passed % 30 === 0) at.api.bookmark()
      }
      expect(at.watches()).toHaveLength(1)
      await at.pass(1000)
      await until('the next watch', () => at.watches().length === 2)
      expect(at.lists()).toHaveLength(1)
      expect(at.told('Interrupted')).toBe(0)
    },
    20_000,
  )
})

describe('what breaks does not end the following', () => {
  const faults: [string, (at: Following) => void][] = [
    ['a reset', ({ proxy }) => void proxy.tcp.add({ kind: 'reset' }, { only: 'living' })],
    [
      'half a line',
      ({ proxy, api }) => {
        proxy.add({ kind: 'cut' }, { watch: true, times: 1 })
        api.bookmark()
      },
    ],
    [
      'a half-closed connection',
      ({ proxy }) => void proxy.tcp.add({ kind: 'halfClose' }, { only: 'living', direction: 'downstream' }),
    ],
    [
      '500 inside the stream',
      ({ proxy }) => void proxy.add({ kind: 'errorEvent', code: 500 }, { watch: true, times: 1 }),
    ],
    [
      '410 inside the stream',
      ({ proxy }) => void proxy.add({ kind: 'errorEvent', code: 410 }, { watch: true, times: 1 }),
    ],
    [
      'an end, and 500 to the next',
      ({ proxy }) => {
        proxy.add({ kind: 'answer', code: 500 }, { watch: true, times: 2 })
        proxy.add({ kind: 'endWatch' }, { times: 1 })
      },
    ],
    ['a line that is no JSON', ({ api }) => api.say('<html>\n')],
    ['null for an event', ({ api }) => api.say('null\n')],
    ['an event of no object', ({ api }) => api.say('{"type":"ADDED"}\n')],
    ['an object without metadata', ({ api }) => api.say('{"type":"ADDED","object":{}}\n')],
    [
      'an unknown type',
      ({ api }) => api.say('{"type":"MOVED","object":{"metadata":{"resourceVersion":"1"}}}\n'),
    ],
  ]
  test.each(faults)('%s', async (_name, strike) => {
    const at = await following()
    strike(at)
    await until('the end of that watch', () => at.watches()[0]!.endedMs !== undefined)
    at.api.put('b')
    await at.pass(3000)
    await knows('b', at)
    expect(at.known()).toEqual(['a', 'b'])
  })

  test('a page for people instead of a list', async () => {
    const at = await following()
    at.api.pretend('<h1>Sign in</h1>')
    at.api.compact()
    at.api.endWatches()
    await at.pass(5000)
    await until('it is told', () => at.told('Interrupted') > 0)
    at.api.pretend(undefined)
    at.api.put('b')
    await at.pass(31_000)
    await knows('b', at)
  })

  test('a server that is away for long: what happened meanwhile comes, without a list', async () => {
    const at = await following()
    await at.proxy.tcp.refuse()
    at.proxy.tcp.add({ kind: 'cut' }, { only: 'living' })
    await until('it is told', () => at.told('Interrupted') === 1)
    at.api.put('b')
    await at.pass(60_000)
    expect(at.told('Interrupted')).toBe(1)
    await at.proxy.tcp.accept()
    await at.pass(40_000)
    await knows('b', at)
    expect(at.lists()).toHaveLength(1)
  })
})

describe('no hot loop', () => {
  const loops: [string, (at: Following) => void][] = [
    ['a server that ends every watch at once', ({ proxy }) => void proxy.add({ kind: 'endWatch' })],
    [
      'a server that ends every watch after an event',
      ({ proxy, api }) => {
        // Each watch is told of this one anew.
        proxy.add({ kind: 'endWatch' }, { watch: true, afterEvents: 1 })
        api.say('{"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"11"}}}\n')
      },
    ],
    ['410 inside every stream', ({ proxy }) => void proxy.add({ kind: 'errorEvent', code: 410 })],
    [
      '410 for every watch and every list',
      ({ proxy, api }) => {
        proxy.add({ kind: 'answer', code: 410 })
        api.endWatches()
      },
    ],
    ['500 inside every stream', ({ proxy }) => void proxy.add({ kind: 'errorEvent', code: 500 })],
    [
      '403 for all',
      ({ proxy, api }) => {
        proxy.add({ kind: 'answer', code: 403 })
        api.endWatches()
      },
    ],
  ]
  test.each(loops)('%s', async (_name, strike) => {
    const at = await following()
    await at.pass(2000)
    strike(at)
    await at.pass(60_000)
    const times = at.proxy.requests.map(({ atMs }) => atMs)
    expect(times.length).toBeLessThan(60)
    expect(mostWithin(10_000, times)).toBeLessThanOrEqual(14)
    at.proxy.clear()
    at.api.put('b')
    await at.pass(40_000)
    await knows('b', at)
  })

  test('429 is honoured to the second', async () => {
    const at = await following()
    at.proxy.add({ kind: 'answer', code: 429, retryAfterSeconds: 20 }, { watch: true, times: 1 })
    at.api.endWatches()
    await passUntil('the refusal', () => at.watches().length === 2, at)
    const [, refused] = at.watches()
    await until('it is told', () => at.told('Interrupted') === 1)
    await at.pass(refused!.atMs + 19_500 - at.clock.monotonic())
    expect(at.watches()).toHaveLength(2)
    await at.pass(1000)
    await until('the next try', () => at.watches().length === 3)
  })
})

describe('what a stream says', () => {
  test('an error in it is told in the words of the server, and after three there is a new list', async () => {
    const at = await following()
    at.proxy.add({ kind: 'errorEvent', code: 500 }, { watch: true, times: 3 })
    await at.pass(8000)
    await until('a new list', () => at.lists().length === 2)
    const interrupted = at.events.find((event) => event.type === 'Interrupted')!
    expect(interrupted.error.code).toBe('ServerUnavailable')
    expect(interrupted.error.message).toContain('etcdserver: leader changed')
    expect(at.told('Listed')).toBe(2)
  })

  test('410 in it lists anew at once, and is no interruption', async () => {
    const at = await following()
    at.api.compact()
    at.api.put('b')
    await knows('b', at)
    at.proxy.add({ kind: 'errorEvent', code: 410 }, { watch: true, times: 1 })
    await until('a new list', () => at.lists().length === 2)
    await until('a new watch', () => at.watches().length === 2)
    expect(at.told('Interrupted')).toBe(0)
  })

  test('one byte at a time is as good as all at once', async () => {
    const at = await following()
    at.proxy.add({ kind: 'slice', bytes: 1 })
    at.api.put('käse-🧀')
    await knows('käse-🧀', at)
    expect(at.watches()).toHaveLength(1)
  })
})

describe('paging', () => {
  const names = Array.from({ length: 1203 }, (_, index) => `r${index}`)

  test('every page is fetched', async () => {
    const at = await following(names)
    expect(at.known()).toEqual(names)
    expect(at.lists().map(({ query }) => query.get('limit'))).toEqual(['500', '500', '500'])
  })

  test('410 between two pages fetches all at once', async () => {
    const at = await following(names)
    at.proxy.add({ kind: 'answer', code: 410 }, { query: { continue: /./ }, times: 1 })
    at.proxy.add({ kind: 'errorEvent', code: 410 }, { watch: true, times: 1 })
    await at.pass(5000)
    await until('a second list', () => at.told('Listed') === 2)
    expect(at.known()).toEqual(names)
    expect(
      at
        .lists()
        .slice(3)
        .map(({ query }) => query.get('limit')),
    ).toEqual(['500', '500', null])
  })
})

test('it ends when it is told to, in the middle of a watch, and says nothing of it', async () => {
  const at = await following()
  const before = at.events.length
  await at.stop()
  expect(at.events).toHaveLength(before)
  await until('the server sees it leave', () => at.api.watches() === 0)
})
