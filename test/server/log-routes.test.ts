import { Hono } from 'hono'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import { Fleet } from '../../src/controllers/fleet.ts'
import { createLiveFeed } from '../../src/controllers/live-feed.ts'
import { fullAccess, type Access, type ServerEnv } from '../../src/server/access.ts'
import { logRoutes } from '../../src/server/log-routes.ts'
import { expectToFit } from '../support/api-answers.ts'
import { operation } from '../support/core-objects.ts'

const key = { namespace: 'default', name: 'ap-1-new-1' }
const path = `/api/status/v1/operations/${key.namespace}/${key.name}/log`

interface Said {
  type: string
  id?: number
  data?: Record<string, unknown>
}

/** Events of a piece of a stream; comments and `retry` are none. */
function eventsIn(text: string): Said[] {
  return text
    .split('\n\n')
    .map((block) => Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2))))
    .filter(({ event }) => event !== undefined)
    .map(({ id, event, data }) => ({
      type: event,
      ...(id === undefined ? {} : { id: Number(id) }),
      data: JSON.parse(data),
    }))
}

/** One operation, its live lines, and the route; the world turns as the test says. */
function createLogWorld(
  options: {
    access?: Partial<Access>
    maxStreams?: number
    maxStreamsPerToken?: number
    maxLines?: number
  } = {},
) {
  const clock = createManualClock(Date.parse('2026-01-01T00:00:00Z'))
  const fleet = new Fleet(clock)
  const listeners = new Set<object>()
  const live = createLiveFeed({ clock, ...(options.maxLines ? { limits: { lines: options.maxLines } } : {}) })
  const feed: typeof live = {
    ...live,
    onChange(of, listener) {
      const stop = live.onChange(of, listener)
      listeners.add(stop)
      return () => {
        listeners.delete(stop)
        stop()
      }
    },
  }
  let version = 0
  const save = (status: UpgradeOperation['status']): void => {
    version += 1
    const item = operation(key.name, status)
    fleet.apply('Modified', { ...item, metadata: { ...item.metadata, resourceVersion: String(version) } })
  }
  const say = (line: string): void => live.emit({ type: 'Log', operation: key, line })
  const enter = (phase: 'Connecting' | 'Uploading' | 'Succeeded', message: string): void => {
    save({ phase, times: { [phase]: new Date(clock.now()).toISOString() }, message })
    live.emit({
      type: 'Phase',
      operation: key,
      device: { namespace: 'default', name: 'ap-1' },
      phase,
      message,
    })
  }
  const app = new Hono<ServerEnv>()
  app.use(async (context, next) => {
    context.set('access', { ...fullAccess, ...options.access })
    await next()
  })
  app.route(
    '/',
    logRoutes({
      fleet,
      feed,
      clock,
      redact: (text, _device, { sensitive }) =>
        sensitive ? text : text.replaceAll('192.0.2.1', '<address>'),
      maxStreams: options.maxStreams ?? 10,
      ...(options.maxStreamsPerToken ? { maxStreamsPerToken: options.maxStreamsPerToken } : {}),
    }),
  )

  /** Follows the log; `read` gives what has come since the last time. */
  const follow = async (query = '', headers: Record<string, string> = {}) => {
    const abort = new AbortController()
    const response = await app.request(`${path}${query}`, { headers, signal: abort.signal })
    let text = ''
    let isOver = false
    const reader = response.body!.getReader()
    const decoder = new TextDecoder()
    const pump = async (): Promise<void> => {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) break
        text += decoder.decode(value)
      }
      isOver = true
    }
    void pump().catch(() => (isOver = true))
    return {
      response,
      abort: () => abort.abort(),
      isOver: () => isOver,
      async read(): Promise<string> {
        await clock.advance(0)
        const come = text
        text = ''
        return come
      },
    }
  }
  return { clock, fleet, feed: live, save, say, enter, app, follow, listeners: () => listeners.size }
}

describe('a follower', () => {
  test('hears each line once, as it comes, until the operation has ended', async () => {
    const world = createLogWorld()
    world.enter('Connecting', 'connecting to 192.0.2.1')
    world.say('dropbear answers')
    const reader = await world.follow()
    expect(Object.fromEntries(reader.response.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
    })
    const first = eventsIn(await reader.read())
    expect(first.map(({ type }) => type)).toEqual(['phase', 'log'])
    world.feed.emit({
      type: 'Progress',
      operation: key,
      device: key,
      percent: 40,
      sentBytes: 4,
      totalBytes: 10,
    })
    const second = eventsIn(await reader.read())
    expect(second.map(({ type, data }) => [type, data!['percent']])).toEqual([['progress', 40]])
    world.enter('Succeeded', 'runs new')
    const third = eventsIn(await reader.read())
    expect(third.map(({ type }) => type)).toEqual(['phase', 'end'])
    expect(reader.isOver()).toBe(true)
    const lines = [...first, ...second, ...third].filter(({ id }) => id !== undefined)
    for (const { id, data } of lines) {
      expectToFit('LiveLine', data)
      expect(data!['id']).toBe(id)
    }
    const ids = lines.map(({ id }) => id!)
    expect(ids).toEqual(ids.toSorted((a, b) => a - b))
    expect(world.listeners()).toBe(0)
  })

  test('is kept awake by a comment every 15 s, and by nothing else', async () => {
    const world = createLogWorld()
    world.enter('Connecting', 'connecting')
    const reader = await world.follow()
    await reader.read()
    await world.clock.advance(14_999)
    expect(await reader.read()).toBe('')
    await world.clock.advance(1)
    expect(await reader.read()).toBe(':\n\n')
    await world.clock.advance(30_000)
    expect(await reader.read()).toBe(':\n\n:\n\n')
  })

  test('that goes leaves nothing behind', async () => {
    const world = createLogWorld({ maxStreams: 1 })
    world.enter('Connecting', 'connecting')
    const reader = await world.follow()
    expect(await reader.read()).not.toBe('')
    expect(world.listeners()).toBe(1)
    expect((await world.app.request(path)).status).toBe(429)
    reader.abort()
    await world.clock.advance(15_000)
    expect(world.listeners()).toBe(0)
    expect((await world.follow()).response.status).toBe(200)
  })

  test('cannot be followed too often with one token', async () => {
    const world = createLogWorld({ access: { tokenId: 'some' }, maxStreamsPerToken: 2 })
    world.enter('Connecting', 'connecting')
    for (const status of [200, 200, 429]) expect((await world.app.request(path)).status).toBe(status)
  })

  test('that stops reading is cut off', async () => {
    const world = createLogWorld()
    world.enter('Connecting', 'connecting')
    const response = await world.app.request(path)
    world.say('a line')
    await world.clock.advance(9_999)
    expect(world.listeners()).toBe(1)
    await world.clock.advance(1)
    expect(world.listeners()).toBe(0)
    await expect(response.text()).rejects.toThrow('nobody took')
  })

  test('waits a moment for the last line, and no longer', async () => {
    const world = createLogWorld()
    world.enter('Uploading', 'sending')
    const reader = await world.follow()
    await reader.read()
    world.save({ phase: 'Succeeded', message: 'runs new' })
    world.say('and a line that nobody expects')
    expect(eventsIn(await reader.read()).map(({ type }) => type)).toEqual(['log'])
    await world.clock.advance(2000)
    expect(eventsIn(await reader.read()).map(({ type }) => type)).toEqual(['end'])
  })

  test('of an operation that is removed hears the end', async () => {
    const world = createLogWorld()
    world.enter('Uploading', 'sending')
    const reader = await world.follow()
    await reader.read()
    world.fleet.apply('Deleted', { ...world.fleet.get('UpgradeOperation', key)! })
    await world.clock.advance(15_000)
    expect(eventsIn(await reader.read()).map(({ type }) => type)).toEqual(['end'])
  })

  test('cut off at any place goes on without a gap and without a repeat', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20), { minLength: 1, maxLength: 8 }), async (bursts) => {
        const world = createLogWorld()
        world.enter('Connecting', 'connecting')
        const heard: Said[] = []
        let said = 0
        for (const burst of bursts) {
          const last = heard.at(-1)?.id
          const reader = await world.follow('', last === undefined ? {} : { 'Last-Event-ID': String(last) })
          for (let index = 0; index < burst; index += 1) world.say(`line ${(said += 1)}`)
          heard.push(...eventsIn(await reader.read()))
          reader.abort()
          // Said while nobody listens.
          world.say(`line ${(said += 1)}`)
        }
        const reader = await world.follow(`?after=${heard.at(-1)!.id}`)
        heard.push(...eventsIn(await reader.read()))
        reader.abort()
        const texts = heard.filter(({ type }) => type === 'log').map(({ data }) => data!['text'])
        expect(texts).toEqual(Array.from({ length: said }, (_, index) => `line ${index + 1}`))
      }),
      { numRuns: 50 },
    )
  })

  test('hears how many lines it has missed', async () => {
    const world = createLogWorld({ maxLines: 10 })
    world.enter('Connecting', 'connecting')
    const reader = await world.follow()
    const last = eventsIn(await reader.read()).at(-1)!.id!
    reader.abort()
    for (let index = 1; index <= 100; index += 1) world.say(`line ${index}`)
    const again = eventsIn(await (await world.follow('', { 'Last-Event-ID': String(last) })).read())
    expect(again[0]!.type).toBe('missed')
    expect(Number(again[0]!.data!['count']) + again.length - 1).toBe(100)
    expect(again.at(-1)!.data!['text']).toBe('line 100')
  })
})

describe('an operation from before this process', () => {
  const finished: UpgradeOperation['status'] = {
    phase: 'Failed',
    failureClass: 'RolledBack',
    message: 'runs old again',
    times: {
      Queued: '2025-12-31T10:00:00.000Z',
      Connecting: '2025-12-31T10:00:01.000Z',
      Failed: '2025-12-31T10:05:00.000Z',
    },
    log: ['the upgrade is commencing', 'the partition is written'],
  }

  test('is told from its status', async () => {
    const world = createLogWorld()
    world.save(finished)
    const reader = await world.follow()
    const all = eventsIn(await reader.read())
    expect(all.map(({ type, data }) => [type, data!['phase'] ?? data!['text']])).toEqual([
      ['phase', 'Queued'],
      ['phase', 'Connecting'],
      ['log', 'the upgrade is commencing'],
      ['log', 'the partition is written'],
      ['phase', 'Failed'],
    ])
    expect(all.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5])
    for (const { data } of all) expectToFit('LiveLine', data)
    await world.clock.advance(2000)
    expect(eventsIn(await reader.read())).toEqual([{ type: 'end', data: {} }])
    const rest = await (await world.follow('?after=3&follow=false')).read()
    expect(eventsIn(rest).map(({ id }) => id)).toEqual([4, 5, undefined])
  })

  test('that goes on is told from its status first, then live', async () => {
    const world = createLogWorld()
    world.save({
      phase: 'Uploading',
      times: { Queued: finished.times!.Queued!, Uploading: finished.times!.Connecting! },
    })
    world.say('goes on')
    const all = eventsIn(await (await world.follow()).read())
    expect(all.map(({ data }) => data!['phase'] ?? data!['text'])).toEqual(['Queued', 'Uploading', 'goes on'])
    const later = eventsIn(await (await world.follow('', { 'Last-Event-ID': '2' })).read())
    expect(later.map(({ data }) => data!['text'])).toEqual(['goes on'])
  })
})

describe('for curl', () => {
  test('plain text says what there is, and ends', async () => {
    const world = createLogWorld()
    world.enter('Connecting', 'connecting to 192.0.2.1')
    world.say('a line')
    world.feed.emit({
      type: 'Progress',
      operation: key,
      device: key,
      percent: 40,
      sentBytes: 4,
      totalBytes: 10,
    })
    const response = await world.app.request(path, { headers: { Accept: 'text/plain' } })
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toBe(
      [
        '2026-01-01T00:00:00.000Z Connecting: connecting to 192.0.2.1',
        '2026-01-01T00:00:00.000Z | a line',
        '2026-01-01T00:00:00.000Z 40 % (4 of 10 bytes)',
        '',
      ].join('\n'),
    )
  })

  test('and follows when told to', async () => {
    const world = createLogWorld()
    world.enter('Connecting', 'connecting')
    const reader = await world.follow('?follow=true', { Accept: 'text/plain' })
    await reader.read()
    await world.clock.advance(60_000)
    expect(await reader.read()).toBe('')
    world.say('a line')
    expect(await reader.read()).toMatch(/ \| a line\n$/)
    world.enter('Succeeded', 'runs new')
    expect(await reader.read()).toMatch(/ Succeeded: runs new\n$/)
    expect(reader.isOver()).toBe(true)
  })

  test('HEAD tells the type, and leaves nothing open', async () => {
    const world = createLogWorld()
    world.enter('Connecting', 'connecting')
    const response = await world.app.request(path, { method: 'HEAD' })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(await response.text()).toBe('')
    expect(world.listeners()).toBe(0)
  })
})

describe('refusals', () => {
  test.each([
    ['?after=x', 400, 'after must be a whole number from 0 to 9007199254740991, not "x"'],
    ['?follow=yes', 400, 'follow "yes" is unknown'],
    ['?since=1', 400, 'unknown query parameter "since"'],
  ])('%s', async (query, status, detail) => {
    const world = createLogWorld()
    world.enter('Connecting', 'connecting')
    const response = await world.app.request(`${path}${query}`)
    expect([response.status, ((await response.json()) as { detail: string }).detail]).toEqual([
      status,
      detail,
    ])
  })

  test('of an unknown operation, of another namespace, and of addresses', async () => {
    const world = createLogWorld()
    expect((await world.app.request(path)).status).toBe(404)
    const stranger = createLogWorld({ access: { namespaces: new Set(['elsewhere']) } })
    expect((await stranger.app.request(path)).status).toBe(403)
    const curious = createLogWorld({ access: { sensitive: false } })
    curious.enter('Connecting', 'connecting to 192.0.2.1')
    curious.say('192.0.2.1 answers')
    const text = await (await curious.follow('?follow=false')).read()
    expect(text).toContain('connecting to <address>')
    expect(text).not.toContain('192.0.2.1')
  })
})
