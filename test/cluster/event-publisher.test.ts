/** The publisher of events in virtual time, over what an API server does with events. */
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { createEventPublisher } from '../../src/adapters/kubernetes/event-publisher.ts'
import { createEventWriter } from '../../src/adapters/kubernetes/event-writer.ts'
import type { ApiAnswer, ApiRequest } from '../../src/adapters/kubernetes/transport.ts'
import { createMetrics } from '../../src/adapters/metrics/registry.ts'
import { openEventRecorder } from '../../src/controllers/event-recorder.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { RecordedEvent } from '../../src/ports/event-log.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { eventsApiContract } from '../contract/events-api.ts'
import { createEventsApi, refusal } from '../support/events-api.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'

const seconds = (count: number): number => count * 1000
const minutes = (count: number): number => count * 60_000
const namespace = 'reflash-system'

const dark = (device: string, message = 'does not answer'): FleetEvent => ({
  type: 'Warning',
  kind: 'Device',
  object: { namespace: 'default', name: device },
  reason: 'Unreachable',
  message,
})

/** What answers instead of the server: an answer, a failure, nothing at all (`never`), or undefined for the server itself. */
type Fault = (request: ApiRequest) => ApiAnswer | ReflashError | 'never' | 'answer is lost' | undefined

function open() {
  const clock = createManualClock(Date.parse('2026-01-01T00:00:00Z'))
  const metrics = createMetrics({ clock, version: '1.2.3', process: false })
  const api = createEventsApi()
  const requests: { at: number; method: string }[] = []
  const warnings: FleetEvent[] = []
  const world = { fault: (() => undefined) as Fault }
  let uids = 0
  const log = openEventRecorder({
    clock,
    metadataOf: (_kind, { name }) => ({ uid: `uid-of-${name}`, resourceVersion: '7' }),
    newUid: () => `event-${(uids += 1)}`,
    onFailure: (error) => expect(error).toBeUndefined(),
    whole: { apiVersion: 'v1', kind: 'Namespace', namespace, name: namespace },
  })
  const down = new ReflashError('ServerUnavailable', 'the API server does not answer')
  const publisher = createEventPublisher({
    log,
    transport: {
      async request(request) {
        requests.push({ at: clock.monotonic(), method: request.method })
        const answer = world.fault(request)
        if (answer instanceof ReflashError) throw answer
        if (answer === 'never') await hang(request.signal)
        if (answer === 'answer is lost') {
          await api.request(request)
          throw down
        }
        return typeof answer === 'object' ? answer : api.request(request)
      },
    },
    clock,
    random: createRandom('events'),
    metrics,
    instance: 'reflash-controller-5d4f8c9b7-x2x4z',
    warnings: { emit: (event) => void warnings.push(event) },
  })
  onTestFinished(async () => {
    const closed = publisher.close()
    await clock.advance(minutes(1))
    await closed
    log.close()
  })
  return {
    clock,
    log,
    publisher,
    api,
    requests,
    warnings,
    world,
    down,
    /** Counts of what is there. */
    counts: () => api.list().map(({ series }) => series?.count ?? 1),
    dropped: async (reason: string) =>
      valueOf(parseExposition(await metrics.text()), 'reflash_events_dropped_total', { reason }),
  }
}

const hang = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal!.addEventListener('abort', () => reject(signal!.reason as Error))
  })

eventsApiContract('in memory', async () => createEventsApi())

describe('an event', () => {
  test('is made once, with all that kubectl shows', async () => {
    const { clock, log, api, requests } = open()
    await clock.advance(123)
    log.emit(dark('ap-1'))
    await clock.advance(0)
    expect(api.list()).toEqual([
      {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: {
          namespace: 'default',
          name: expect.stringMatching(/^ap-1\.[0-9a-f]{19}$/),
        },
        eventTime: '2026-01-01T00:00:00.123000Z',
        reportingController: 'reflash.dev/controller',
        reportingInstance: 'reflash-controller-5d4f8c9b7-x2x4z',
        action: 'Probe',
        reason: 'Unreachable',
        regarding: {
          apiVersion: 'reflash.dev/v1alpha1',
          kind: 'Device',
          namespace: 'default',
          name: 'ap-1',
          uid: 'uid-of-ap-1',
          resourceVersion: '7',
        },
        note: 'does not answer',
        type: 'Warning',
      },
    ])
    expect(requests).toEqual([{ at: 123, method: 'POST' }])
  })

  test('that repeats is counted up', async () => {
    const { clock, log, api, requests } = open()
    for (let count = 0; count < 3; count += 1) {
      log.emit(dark('ap-1'))
      await clock.advance(minutes(1))
    }
    expect(api.list()).toMatchObject([
      {
        eventTime: '2026-01-01T00:00:00.000000Z',
        series: { count: 3, lastObservedTime: '2026-01-01T00:02:00.000000Z' },
      },
    ])
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'PATCH'])
  })

  test('that repeats at once is written once', async () => {
    const { clock, log, counts } = open()
    for (let count = 0; count < 10; count += 1) log.emit(dark('ap-1'))
    await clock.advance(0)
    expect(counts()).toEqual([10])
  })

  test('that the server has forgotten is made again, with its count', async () => {
    const { clock, log, api } = open()
    log.emit(dark('ap-1'))
    await clock.advance(minutes(90))
    const before = api.list()
    api.expire()
    log.emit(dark('ap-1'))
    await clock.advance(0)
    expect(api.list()).toEqual([
      { ...before[0], series: { count: 2, lastObservedTime: '2026-01-01T01:30:00.000000Z' } },
    ])
  })

  test('is made once when the answer to its making is lost', async () => {
    const { clock, log, counts, requests, world, warnings } = open()
    world.fault = () => (requests.length === 1 ? 'answer is lost' : undefined)
    log.emit(dark('ap-1'))
    await clock.advance(minutes(1))
    expect(counts()).toEqual([1])
    expect(requests).toHaveLength(2)
    log.emit(dark('ap-1'))
    await clock.advance(minutes(1))
    expect(counts()).toEqual([2])
    expect(warnings).toEqual([])
  })

  test('of the fleet as a whole is of the namespace of the controller', async () => {
    const { clock, log, api } = open()
    log.emit({ type: 'Info', reason: 'Started', message: 'as reflash-0' })
    await clock.advance(0)
    expect(api.list()).toMatchObject([
      {
        metadata: { namespace },
        regarding: { apiVersion: 'v1', kind: 'Namespace', namespace, name: namespace },
        action: 'Run',
        type: 'Normal',
      },
    ])
  })

  test('comes after those before it in the order of names, as kubectl describes them', async () => {
    const { clock, log, api } = open()
    const phases = ['Created', 'Connecting', 'Checking', 'Uploading', 'Flashing', 'Succeeded']
    for (const reason of phases) {
      log.emit({ ...dark('ap-1'), type: 'Info', reason } as FleetEvent)
      await clock.advance(seconds(20))
    }
    expect(api.list().map(({ reason }) => reason)).toEqual(phases)
  })

  test('of any size is taken by the server', async () => {
    const text = (maxLength: number) => fc.string({ unit: 'grapheme', minLength: 1, maxLength, size: 'max' })
    const records = fc.record({
      name: fc.constantFrom('ap-1', 'a'.repeat(253), `${'a'.repeat(232)}.${'b'.repeat(20)}`),
      reason: text(200),
      message: text(2000),
      instance: fc.constantFrom('reflash-0', `${'r'.repeat(242)}-5d4f8c-x2`),
      count: fc.integer({ min: 1 }),
    })
    await fc.assert(
      fc.asyncProperty(records, async ({ name, instance, ...rest }) => {
        const api = createEventsApi()
        const write = createEventWriter(api, instance)
        const event: RecordedEvent = {
          namespace: 'default',
          name: `${name.slice(0, 200)}.19b77f8a800`,
          uid: 'event-1',
          type: 'Normal',
          regarding: { apiVersion: 'reflash.dev/v1alpha1', kind: 'Device', namespace: 'default', name },
          firstTimestamp: '2026-01-01T00:00:00.000Z',
          lastTimestamp: '2026-01-01T00:00:00.000Z',
          version: 1,
          ...rest,
        }
        expect(await write(event, new AbortController().signal)).toBeUndefined()
        const [written] = api.list()
        expect(instance.endsWith(written!.reportingInstance)).toBe(true)
        expect(rest.message.startsWith(written!.note)).toBe(true)
      }),
    )
  })

  test('that the log forgets is not written again', async () => {
    const { clock, log, requests } = open()
    log.emit(dark('ap-1'))
    await clock.advance(25 * minutes(60))
    expect(log.list()).toEqual([])
    expect(requests).toHaveLength(1)
  })

  test('of an earlier record of the log is not written again', async () => {
    const { clock, log, api, publisher } = open()
    log.emit(dark('ap-1'))
    await publisher.close()
    const later = createEventPublisher({
      log,
      transport: api,
      clock,
      random: createRandom('later'),
      metrics: createMetrics({ clock, version: '1.2.3', process: false }),
      instance: 'later',
      warnings: { emit: () => {} },
    })
    log.emit(dark('ap-2'))
    await later.close()
    expect(api.list().map(({ regarding, reportingInstance }) => [regarding.name, reportingInstance])).toEqual(
      [
        ['ap-1', 'reflash-controller-5d4f8c9b7-x2x4z'],
        ['ap-2', 'later'],
      ],
    )
  })
})

describe('many events', () => {
  test('that differ in their words are combined after ten', async () => {
    const { clock, log, api } = open()
    for (let count = 1; count <= 15; count += 1) {
      log.emit(dark('ap-1', `no answer for ${count} minutes`))
      await clock.advance(minutes(1))
    }
    const events = api.list()
    expect(events.map(({ note }) => note)).toEqual([
      ...Array.from({ length: 10 }, (_, index) => `no answer for ${index + 1} minutes`),
      '(combined from similar events): no answer for 11 minutes',
    ])
    expect(events.at(-1)).toMatchObject({
      eventTime: '2026-01-01T00:10:00.000000Z',
      series: { count: 5, lastObservedTime: '2026-01-01T00:14:00.000000Z' },
    })
    // One of the ten that repeats is still itself, and another object or reason has nothing to do with them.
    log.emit(dark('ap-1', 'no answer for 3 minutes'))
    log.emit(dark('ap-2', 'no answer for 16 minutes'))
    log.emit({ ...dark('ap-1', 'refuses the password'), reason: 'AuthFailed' } as FleetEvent)
    await clock.advance(minutes(11))
    expect(api.list().filter(({ series }) => series)).toMatchObject([
      { note: 'no answer for 3 minutes', series: { count: 2 } },
      { note: '(combined from similar events): no answer for 11 minutes', series: { count: 5 } },
    ])
    expect(api.list().filter(({ series }) => !series)).toHaveLength(11)
    // After ten quiet minutes it begins anew, also for one of those that were combined.
    log.emit(dark('ap-1', 'no answer for 11 minutes'))
    await clock.advance(0)
    const counts = api.list().map(({ note, series }) => [note, series?.count])
    expect(counts).toContainEqual(['(combined from similar events): no answer for 11 minutes', 5])
    expect(counts).toContainEqual(['no answer for 11 minutes', 2])
  })

  test('of one object are written 25 times, and then every five minutes', async () => {
    const { clock, log, counts, requests, dropped } = open()
    for (let count = 0; count < 600; count += 1) {
      log.emit(dark('ap-1'))
      await clock.advance(seconds(1))
    }
    expect(requests.length).toBeGreaterThanOrEqual(25)
    expect(requests.length).toBeLessThanOrEqual(27)
    expect(await dropped('Limited')).toBe(600 - requests.length)
    log.emit(dark('ap-2'))
    await clock.advance(minutes(5))
    log.emit(dark('ap-1'))
    await clock.advance(0)
    // None was forgotten in the count.
    expect(counts()).toEqual([601, 1])
  })

  test('of a large fleet are written twenty a second', async () => {
    const { clock, log, api, requests } = open()
    for (let device = 0; device < 2000; device += 1) log.emit(dark(`ap-${device}`))
    await clock.advance(0)
    expect(requests).toHaveLength(100)
    await clock.advance(seconds(10))
    expect(requests).toHaveLength(300)
    await clock.advance(minutes(5))
    expect(api.list()).toHaveLength(2000)
    expect(requests).toHaveLength(2000)
  })

  test('that wait push out the oldest', async () => {
    const { clock, log, api, world, down, warnings, dropped } = open()
    world.fault = () => down
    for (let device = 0; device < 10_000; device += 1) log.emit(dark(`ap-${device}`))
    await clock.advance(0)
    world.fault = () => undefined
    await clock.advance(minutes(10))
    const names = api.list().map(({ regarding }) => regarding.name)
    expect(names).toHaveLength(4000)
    expect(names).toContain('ap-9999')
    expect(names).not.toContain('ap-1')
    expect(await dropped('Full')).toBe(6000)
    expect(warnings).toMatchObject([{ reason: 'EventsNotPublished', message: /4000 events wait/ }])
  })
})

describe('a server that', () => {
  test('refuses events is told of once, and not asked twice for one', async () => {
    const { clock, log, api, requests, world, warnings, dropped } = open()
    const message = 'events.events.k8s.io is forbidden: User "reflash" cannot create resource "events"'
    world.fault = () => refusal(403, 'Forbidden', message)
    for (let device = 0; device < 20; device += 1) {
      log.emit(dark(`ap-${device}`))
      await clock.advance(minutes(1))
    }
    expect(requests).toHaveLength(20)
    expect(await dropped('Refused')).toBe(20)
    expect(warnings).toMatchObject([
      {
        reason: 'EventsNotPublished',
        message: `an event was refused: event of Device default/ap-0: ${message}`,
      },
    ])
    world.fault = () => undefined
    log.emit(dark('ap-20'))
    await clock.advance(minutes(1))
    expect(api.list()).toHaveLength(1)
  })

  test('refuses a flood of events is asked ever more slowly', async () => {
    const { clock, log, requests, world, warnings } = open()
    world.fault = () => refusal(404, 'NotFound')
    for (let device = 0; device < 1000; device += 1) log.emit(dark(`ap-${device}`))
    await clock.advance(minutes(10))
    expect(requests.length).toBeLessThan(25)
    expect(warnings.map(({ type }) => type)).toEqual(['Warning', 'Warning'])
  })

  test('is down for a minute gets everything afterwards', async () => {
    const { clock, log, counts, requests, world, down, warnings } = open()
    world.fault = () => down
    for (let second = 0; second < 60; second += 1) {
      log.emit(dark(`ap-${second % 20}`))
      await clock.advance(seconds(1))
    }
    expect(requests.length).toBeLessThan(10)
    world.fault = () => undefined
    await clock.advance(seconds(40))
    expect(counts()).toEqual(Array.from({ length: 20 }, () => 3))
    expect(warnings).toEqual([])
  })

  test('is down for long gets what is new', async () => {
    const { clock, log, api, requests, world, down, warnings, dropped } = open()
    world.fault = () => down
    for (let minute = 0; minute < 60; minute += 1) {
      log.emit(dark(`ap-${minute}`))
      await clock.advance(minutes(1))
    }
    expect(requests.length).toBeLessThan(150)
    world.fault = () => undefined
    await clock.advance(minutes(1))
    const names = api.list().map(({ regarding }) => regarding.name)
    expect(names).toContain('ap-59')
    expect(names.length).toBeLessThan(8)
    expect(await dropped('Unavailable')).toBe(60 - names.length)
    expect(warnings).toMatchObject([{ message: /dropped: the API server does not answer$/ }])
  })

  test('is down for long gets what goes on happening', async () => {
    const { clock, log, counts, world, down, dropped } = open()
    world.fault = () => down
    for (let minute = 0; minute < 20; minute += 1) {
      log.emit(dark('ap-1'))
      await clock.advance(minutes(1))
    }
    world.fault = () => undefined
    await clock.advance(minutes(1))
    expect(counts()).toEqual([20])
    expect(await dropped('Unavailable')).toBe(0)
  })

  test('fails while an event repeats gets its latest count', async () => {
    const { clock, log, counts, world, down, requests } = open()
    world.fault = () => {
      if (requests.length > 1) return undefined
      log.emit(dark('ap-1'))
      return down
    }
    log.emit(dark('ap-1'))
    await clock.advance(minutes(1))
    expect(counts()).toEqual([2])
  })

  test('is busy is left alone for as long as it asks', async () => {
    const { clock, log, counts, requests, world } = open()
    world.fault = () => ({ ...refusal(429, 'TooManyRequests'), retryAfterMs: seconds(45) })
    log.emit(dark('ap-1'))
    await clock.advance(seconds(44))
    expect(requests).toHaveLength(1)
    world.fault = () => undefined
    await clock.advance(seconds(1))
    expect(counts()).toEqual([1])
  })

  test('fails on the events of one namespace does not stop the others', async () => {
    const { clock, log, api, world } = open()
    world.fault = ({ path }) => (path.includes('/broken/') ? refusal(500, 'InternalError') : undefined)
    for (let device = 0; device < 50; device += 1) {
      log.emit({
        ...dark(`ap-${device}`),
        object: { namespace: 'broken', name: `ap-${device}` },
      } as FleetEvent)
      log.emit(dark(`ap-${device}`))
    }
    await clock.advance(minutes(5))
    expect(api.list()).toHaveLength(50)
  })
})

describe('at the end', () => {
  test('what waits is written', async () => {
    const { log, api, publisher } = open()
    for (let device = 0; device < 50; device += 1) log.emit(dark(`ap-${device}`))
    await publisher.close()
    expect(api.list()).toHaveLength(50)
    log.emit(dark('ap-50'))
    await publisher.close()
    expect(api.list()).toHaveLength(50)
  })

  test('a server that is silent is given three seconds', async () => {
    const { clock, log, requests, world, publisher } = open()
    world.fault = () => 'never'
    for (let device = 0; device < 50; device += 1) log.emit(dark(`ap-${device}`))
    await clock.advance(minutes(1))
    let closedAt: number | undefined
    const closed = publisher.close().then(() => (closedAt = clock.monotonic()))
    await clock.advance(seconds(10))
    await closed
    expect(closedAt).toBe(minutes(1) + seconds(3))
    expect(requests).toHaveLength(1)
  })

  test('a server that is down is asked once more', async () => {
    const { clock, log, requests, world, down, publisher } = open()
    world.fault = () => down
    for (let device = 0; device < 50; device += 1) log.emit(dark(`ap-${device}`))
    await clock.advance(minutes(1))
    const asked = requests.length
    await publisher.close()
    expect(requests.length).toBe(asked + 1)
  })

  test('more than can be written in three seconds is dropped', async () => {
    const { clock, log, api, publisher } = open()
    for (let device = 0; device < 2000; device += 1) log.emit(dark(`ap-${device}`))
    const closed = publisher.close()
    await clock.advance(seconds(3))
    await closed
    expect(api.list().length).toBeGreaterThan(100)
    expect(api.list().length).toBeLessThan(200)
  })
})
