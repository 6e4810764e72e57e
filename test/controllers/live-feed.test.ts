import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createLiveFeed } from '../../src/controllers/live-feed.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { LiveLine } from '../../src/ports/live-feed.ts'
import { createToyFleet } from '../support/toy-fleet.ts'

const begin = Date.parse('2026-01-01T00:00:00Z')
const keyOf = (name: string) => ({ namespace: 'default', name })
const line = (text: string, name = 'op'): FleetEvent => ({ type: 'Log', operation: keyOf(name), line: text })
const progress = (percent: number): FleetEvent => ({
  type: 'Progress',
  operation: keyOf('op'),
  device: keyOf('ap-1'),
  percent,
  sentBytes: percent,
  totalBytes: 100,
})
const textsOf = (lines: readonly LiveLine[]): string[] =>
  lines.map((each) => {
    if (each.type === 'Log') return each.text
    return each.type === 'Phase' ? `${each.phase} ${each.message}`.trim() : `${each.percent} %`
  })

function openFeed(options: { firstId?: number; limits?: { lines?: number; operations?: number } } = {}) {
  const clock = createManualClock(begin)
  return { clock, feed: createLiveFeed({ clock, ...options }) }
}

describe('the lines of an operation', () => {
  test('are numbered, and are its own', () => {
    const { feed } = openFeed()
    for (const text of ['a', 'b', 'c']) feed.emit(line(text))
    feed.emit(line('x', 'other'))
    const { lines, missed } = feed.since(keyOf('op'), 0)
    expect(lines).toEqual(
      ['a', 'b', 'c'].map((text, index) => ({
        id: begin + index,
        time: '2026-01-01T00:00:00.000Z',
        type: 'Log',
        text,
      })),
    )
    expect(missed).toBe(0)
    expect(textsOf(feed.since(keyOf('op'), lines[0]!.id).lines)).toEqual(['b', 'c'])
    expect(feed.since(keyOf('op'), lines[2]!.id)).toEqual({ lines: [], missed: 0 })
    expect(feed.since(keyOf('nobody'), 0)).toEqual({ lines: [], missed: 0 })
  })

  test('leave out what says nothing new', () => {
    const { feed } = openFeed()
    for (const percent of [0, 0, 1, 1, 2]) feed.emit(progress(percent))
    for (const text of ['silent', 'silent', 'back', 'silent']) feed.emit(line(text))
    expect(textsOf(feed.since(keyOf('op'), 0).lines)).toEqual([
      '0 %',
      '1 %',
      '2 %',
      'silent',
      'back',
      'silent',
    ])
  })

  test('are safe to print, and bounded', () => {
    const { feed } = openFeed()
    feed.emit(line(`\u001b[2J${'x'.repeat(5000)}`))
    const [shown] = feed.since(keyOf('op'), 0).lines
    expect(shown).toMatchObject({ type: 'Log', text: expect.stringMatching(/^\\x1b\[2Jx+\.\.\.$/) as string })
    expect(textsOf([shown!])[0]).toHaveLength(1024)
  })

  test('are counted when they are gone, for whoever has not seen them', () => {
    const { feed } = openFeed({ limits: { lines: 10 } })
    for (let count = 0; count < 100; count += 1) feed.emit(line(`${count}`))
    const all = feed.since(keyOf('op'), 0)
    expect(all.lines.length).toBeGreaterThanOrEqual(10)
    expect(all.lines.length).toBeLessThan(20)
    expect(all.missed).toBe(100 - all.lines.length)
    expect(textsOf(all.lines).at(-1)).toBe('99')
    const first = all.lines[0]!.id
    expect(feed.since(keyOf('op'), first - 1)).toEqual({ lines: all.lines, missed: 0 })
    expect(feed.since(keyOf('op'), first - 3)).toEqual({ lines: all.lines, missed: 2 })
    expect(feed.since(keyOf('op'), first + 2).lines[0]!.id).toBe(first + 3)
  })

  test('go with the operation that has been quiet for longest, and ids never come again', () => {
    const { feed } = openFeed({ limits: { operations: 2 } })
    for (const name of ['one', 'two', 'one', 'three'])
      for (const text of ['a', 'b']) feed.emit(line(text, name))
    expect(feed.since(keyOf('two'), 0).lines).toEqual([])
    const seen = feed.since(keyOf('one'), 0).lines.at(-1)!.id
    for (const name of ['four', 'five', 'one']) feed.emit(line('c', name))
    expect(feed.since(keyOf('one'), seen)).toMatchObject({ lines: [{ text: 'c' }], missed: 0 })
  })

  test('go on above what an earlier process has given out, whatever the wall clock says', () => {
    const { feed } = openFeed({ firstId: begin + 3600_000 })
    feed.emit(line('a'))
    expect(feed.since(keyOf('op'), begin + 1800_000)).toMatchObject({ lines: [{ id: begin + 3600_000 }] })
    // Of a later time than ours: nothing that is there is withheld.
    expect(textsOf(feed.since(keyOf('op'), begin + 7200_000).lines)).toEqual(['a'])
  })

  test('wake those who follow them, until they leave', () => {
    const { feed } = openFeed()
    let calls = 0
    const leave = feed.onChange(keyOf('op'), () => (calls += 1))
    feed.emit(line('a'))
    feed.emit(line('a'))
    feed.emit(line('a', 'other'))
    expect(calls).toBe(1)
    leave()
    leave()
    feed.emit(line('b'))
    expect(calls).toBe(1)
  })
})

describe('the whole story of an upgrade', () => {
  /** Every line of the first operation of the first device. */
  async function story(prepare: (world: Awaited<ReturnType<typeof createToyFleet>>) => void) {
    const world = await createToyFleet({ routers: 1 })
    prepare(world)
    await world.declare()
    const app = await world.start()
    await world.clock.advance(20 * 60_000)
    await app.stop()
    const [operation] = (await world.store.list('UpgradeOperation')).items
    const { feed } = openFeed()
    for (const event of world.events) feed.emit(event)
    return { lines: textsOf(feed.since(keyOf(operation!.metadata.name), 0).lines), operation: operation! }
  }

  test('that goes well', async () => {
    const { lines } = await story(() => {})
    expect(lines).toEqual([
      'Connecting attempt 1',
      'connecting to 192.0.2.1 port 22',
      'connected to 192.0.2.1',
      'Checking',
      expect.stringMatching(/^the device runs old on toy, up \d+s$/),
      'the checks before the upload have passed',
      'Uploading',
      '100 %',
      'the image of 1000 bytes is on the device, its digest compared there',
      'Testing',
      'the device accepts the image with the options of the real run',
      'Flashing starting: toy-upgrade /tmp/image',
      'the device has compared everything once more and started the flash',
      'Rebooting the device is silent on purpose while it writes and reboots',
      expect.stringMatching(/^silent: on purpose while it writes and reboots; expected back by 2026-\S+Z$/),
      expect.stringMatching(
        /^the device answers in a new boot; it runs new, the target; it is the same device$/,
      ),
      'Succeeded runs new since a new boot',
    ])
  })

  test('that never comes back says so now and then, and until when that is no reason to worry', async () => {
    const { lines } = await story((world) => (world.router(1).flash = 'never returns'))
    const silent = lines.filter((text) => text.startsWith('silent'))
    expect(silent.length).toBeGreaterThan(5)
    expect(silent.length).toBeLessThan(40)
    expect(silent[1]).toMatch(/^silent, 30s after the start: on purpose .*; expected back by 2026-\S+Z$/)
    expect(lines.at(-1)).toMatch(/^Failed has not come back/)
  })

  test('whose start came to nothing shows the log of the device, once for each start', async () => {
    const { lines, operation } = await story((world) => (world.router(1).flash = 'says started and is not'))
    const starts = lines.filter((text) => text.startsWith('Flashing starting')).length
    expect(lines.filter((text) => text === 'a line of the log')).toHaveLength(starts)
    expect(lines).toContain('the device answers, still in the boot from before the start')
    expect(operation.status.log!.filter((text) => text === 'a line of the log')).toHaveLength(starts)
  })
})
