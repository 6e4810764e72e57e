import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createManualClock, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import type { Requeue } from '../../src/controllers/ports.ts'
import { createWorkQueue } from '../../src/controllers/work-queue.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'

type Process = (key: string, signal: AbortSignal) => Promise<Requeue>

const second = 1000
const minute = 60 * second
const unreachable = (): ReflashError => new ReflashError('Unreachable', 'does not answer')

/** A clock that counts the timers that were set and have neither fired nor been cancelled. */
function countingTimers(inner: Clock): Clock & { timers: () => number } {
  const open = new Set<object>()
  return {
    ...inner,
    timers: () => open.size,
    after(ms, fn) {
      const timer = {}
      open.add(timer)
      const cancel = inner.after(ms, () => {
        open.delete(timer)
        fn()
      })
      return () => {
        open.delete(timer)
        cancel()
      }
    },
  }
}

interface Turn {
  key: string
  startedAt: number
}

/** A queue in virtual time that notes when it hands out what. */
function setUp(process: Process = async () => ({}), concurrency = 100) {
  const clock: ManualClock = createManualClock()
  const counted = countingTimers(clock)
  const turns: Turn[] = []
  const bugs: { key: string; error: unknown }[] = []
  const queue = createWorkQueue({
    name: 'test',
    concurrency,
    clock: counted,
    random: () => 0.5,
    process: (key, signal) => {
      turns.push({ key, startedAt: clock.monotonic() })
      return process(key, signal)
    },
    onError: (key, error) => bugs.push({ key, error }),
  })
  return { clock, queue, turns, bugs, timers: counted.timers, keys: () => turns.map(({ key }) => key) }
}

/** Times at which turns began. */
const times = (turns: readonly Turn[]): number[] => turns.map(({ startedAt }) => startedAt)

describe('handing out', () => {
  test('a key added several times before its turn gets one turn, after the caller has finished', async () => {
    const { clock, queue, keys } = setUp()
    queue.add('a')
    queue.add('b')
    queue.add('a')
    expect(keys()).toEqual([])
    expect(queue.depth()).toBe(2)
    await clock.advance(0)
    expect(keys()).toEqual(['a', 'b'])
    expect(queue.depth()).toBe(0)
  })

  test('a key added while it is being worked on gets exactly one more turn, afterwards', async () => {
    const { clock, queue, turns } = setUp(async () => {
      await clock.sleep(10 * second)
      return {}
    })
    queue.add('a')
    await clock.advance(second)
    for (let count = 0; count < 3; count += 1) queue.add('a')
    await clock.advance(minute)
    expect(times(turns)).toEqual([0, 10 * second])
    expect(queue.size()).toBe(0)
  })

  test('no more keys at once than there are workers', async () => {
    let working = 0
    let most = 0
    const { clock, queue, turns } = setUp(async () => {
      working += 1
      most = Math.max(most, working)
      await clock.sleep(second)
      working -= 1
      return {}
    }, 3)
    for (let index = 0; index < 10; index += 1) queue.add(`key-${index}`)
    await clock.advance(minute)
    expect(turns).toHaveLength(10)
    expect(most).toBe(3)
  })

  test('first come, first served, but higher priorities before lower ones', async () => {
    const { clock, queue, keys } = setUp(async () => {
      await clock.sleep(second)
      return {}
    }, 1)
    queue.add('running')
    await clock.advance(0)
    queue.add('resync-1', { priority: -100 })
    queue.add('resync-2', { priority: -100 })
    queue.add('edit-1')
    queue.add('edit-2')
    // Wanted by a person meanwhile: it goes among the edits, where it would have been by its age.
    queue.add('resync-2')
    // A lower wish takes nothing away.
    queue.add('edit-1', { priority: -100 })
    await clock.advance(minute)
    expect(keys()).toEqual(['running', 'resync-2', 'edit-1', 'edit-2', 'resync-1'])
  })

  test('work that comes through while it was waiting keeps its place', async () => {
    const { clock, queue, keys } = setUp(async () => {
      await clock.sleep(second)
      return {}
    }, 1)
    queue.add('running')
    queue.add('late', { after: 500, priority: 1 })
    queue.add('late', { after: 400 })
    queue.add('later', { after: 600 })
    await clock.advance(0)
    queue.add('now')
    await clock.advance(minute)
    expect(keys()).toEqual(['running', 'late', 'now', 'later'])
  })
})

describe('waiting', () => {
  test('a waiting key holds up nobody', async () => {
    const { clock, queue, turns } = setUp()
    queue.add('later', { after: minute })
    queue.add('now')
    await clock.advance(0)
    expect(turns).toEqual([{ key: 'now', startedAt: 0 }])
    expect(queue.nextReadyAt()).toBe(minute)
    expect(queue.depth()).toBe(0)
    await clock.advance(minute)
    expect(turns.at(-1)).toEqual({ key: 'later', startedAt: minute })
    expect(queue.nextReadyAt()).toBeUndefined()
  })

  test('of two times the sooner one counts, whichever came first', async () => {
    const { clock, queue, turns, timers } = setUp()
    queue.add('b', { after: 40 * second })
    queue.add('a', { after: 30 * second })
    queue.add('a', { after: 10 * second })
    queue.add('a', { after: 20 * second })
    expect(timers()).toBe(1)
    await clock.advance(30 * second)
    expect(times(turns)).toEqual([10 * second])
    queue.add('b')
    expect(timers()).toBe(0)
    await clock.advance(minute)
    expect(times(turns)).toEqual([10 * second, 30 * second])
  })

  test('a wish made during the work counts from then, not from its end', async () => {
    const { clock, queue, turns } = setUp(async () => {
      await clock.sleep(10 * second)
      return {}
    })
    queue.add('a')
    await clock.advance(second)
    queue.add('a', { after: 14 * second })
    await clock.advance(minute)
    expect(times(turns)).toEqual([0, 15 * second])
  })

  test('the work says when it wants to look again, and an earlier wish goes before', async () => {
    let looks = 0
    const { clock, queue, turns } = setUp(async () => ((looks += 1) < 3 ? { after: 20 * second } : {}))
    queue.add('a')
    await clock.advance(5 * second)
    queue.add('a')
    await clock.advance(minute)
    expect(times(turns)).toEqual([0, 5 * second, 25 * second])
    expect(queue.size()).toBe(0)
  })

  test('thousands of keys share one timer', async () => {
    const { clock, queue, turns, timers } = setUp()
    for (let index = 0; index < 5000; index += 1)
      queue.add(`key-${index}`, { after: 1 + ((index * 7919) % 5000) })
    expect(timers()).toBe(1)
    await clock.advance(2500)
    expect(turns).toHaveLength(2500)
    expect(timers()).toBe(1)
    await clock.advance(2500)
    expect(times(turns)).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1))
    expect(timers()).toBe(0)
  })

  test('work that waits for next to nothing does not make time stand still', async () => {
    const { clock, queue, turns } = setUp(async () => (turns.length < 5 ? { after: 1e-12 } : {}))
    await clock.advance(10_000)
    queue.add('a')
    await clock.advance(2)
    expect(turns.map(({ startedAt }) => startedAt)).toEqual([10_000, 10_001, 10_002])
    await clock.advance(100)
    expect(turns).toHaveLength(5)
  })

  test('fractions of a millisecond do not make time stand still', async () => {
    const { clock, queue, turns } = setUp()
    await clock.advance(0.1 + 0.2)
    queue.add('a', { after: 0.1 })
    await clock.advance(2)
    expect(turns).toHaveLength(1)
  })
})

describe('failing', () => {
  test('backs off from 5 s to 15 min, and starts over after a success', async () => {
    let failing = true
    const { clock, queue, turns, bugs } = setUp(async () => {
      if (failing) throw unreachable()
      return {}
    })
    queue.add('a')
    await clock.advance(3 * 60 * minute)
    const starts = times(turns)
    const waits = starts.slice(1).map((time, index) => (time - starts[index]!) / second)
    expect(waits.slice(0, 10)).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 900, 900])

    failing = false
    await clock.advance(15 * minute)
    expect(queue.size()).toBe(0)
    failing = true
    turns.length = 0
    queue.add('a')
    await clock.advance(6 * second)
    expect(times(turns)[1]! - times(turns)[0]!).toBe(5 * second)
    expect(bugs).toEqual([])
  })

  test('a new wish cuts the wait short and does not forget the failures', async () => {
    const { clock, queue, turns } = setUp(async () => {
      throw unreachable()
    })
    queue.add('a')
    await clock.advance(second)
    queue.add('a')
    await clock.advance(10 * second)
    expect(times(turns)).toEqual([0, second, 11 * second])
  })

  test('looking again later is no failure', async () => {
    let looks = 0
    const { clock, queue, turns } = setUp(async () => {
      looks += 1
      if (looks === 3 || looks === 5) throw unreachable()
      return { after: second }
    })
    queue.add('a')
    await clock.advance(13 * second)
    expect(times(turns).map((time) => time / second)).toEqual([0, 1, 2, 7, 8, 13])
    await queue.stop({ drainMs: 0 })
  })

  test.each<[string, () => Promise<Requeue>]>([
    ['an unknown error', () => Promise.reject(new TypeError('x is undefined'))],
    ['an error that waiting cannot help', () => Promise.reject(new ReflashError('Invalid', 'no'))],
    ['an abort that nobody asked for', () => Promise.reject(new DOMException('aborted', 'AbortError'))],
    [
      'a throw before the first await',
      () => {
        throw new TypeError('x is undefined')
      },
    ],
    ['a wait that is no number', async () => ({ after: Number.NaN })],
  ])('%s is a bug: it is told, waits long, and stops no other key', async (_name, fail) => {
    const { clock, queue, turns, bugs } = setUp(async (key) => (key === 'broken' ? fail() : {}), 1)
    queue.add('broken')
    queue.add('fine')
    await clock.advance(5 * minute - 1)
    expect(turns.map(({ key }) => key)).toEqual(['broken', 'fine'])
    expect(bugs.map(({ key }) => key)).toEqual(['broken'])
    expect(bugs[0]!.error).toBeInstanceOf(Error)
    await clock.advance(1)
    expect(turns.at(-1)).toEqual({ key: 'broken', startedAt: 5 * minute })
    await queue.stop({ drainMs: 0 })
  })

  test('a wait that is no number is refused', () => {
    const { queue } = setUp()
    expect(() => queue.add('a', { after: Number.NaN })).toThrow(RangeError)
    expect(queue.size()).toBe(0)
  })
})

describe('stopping', () => {
  test('hands out nothing more, and lets what has begun finish', async () => {
    const finished: string[] = []
    const { clock, queue, keys, timers } = setUp(async (key) => {
      await clock.sleep(10 * second)
      finished.push(key)
      return { after: second }
    }, 1)
    queue.add('running')
    queue.add('due')
    queue.add('waiting', { after: 5 * second })
    await clock.advance(second)
    let ended = false
    const stopping = queue.stop({ drainMs: minute }).then(() => (ended = true))
    queue.add('too-late')
    await clock.advance(8 * second)
    expect(ended).toBe(false)
    await clock.advance(minute)
    await stopping
    expect(keys()).toEqual(['running'])
    expect(finished).toEqual(['running'])
    expect({ size: queue.size(), depth: queue.depth(), timers: timers() }).toEqual({
      size: 0,
      depth: 0,
      timers: 0,
    })
  })

  test('aborts what takes too long, and that is no failure', async () => {
    const reasons: unknown[] = []
    const { clock, queue, bugs } = setUp(async (key, signal) => {
      try {
        await clock.sleep(60 * minute, signal)
      } catch (error) {
        reasons.push(error)
        if (key === 'translated')
          throw new ReflashError('Unsupported', 'the answer was cut off', { cause: error })
        throw error
      }
      return {}
    })
    queue.add('plain')
    queue.add('translated')
    await clock.advance(second)
    const stopping = queue.stop({ drainMs: 5 * second })
    await clock.advance(5 * second - 1)
    expect(reasons).toEqual([])
    await clock.advance(1)
    await stopping
    expect(reasons).toEqual([expect.objectContaining({ name: 'AbortError' }), expect.anything()])
    expect(bugs).toEqual([])
    expect(queue.size()).toBe(0)
  })

  test('a bug that shows while stopping is still told', async () => {
    const { clock, queue, bugs } = setUp(async (_key, signal) => {
      await clock.sleep(minute, signal).catch(() => undefined)
      throw new TypeError('x is undefined')
    })
    queue.add('a')
    await clock.advance(second)
    const stopping = queue.stop({ drainMs: 0 })
    await clock.advance(0)
    await stopping
    expect(bugs).toEqual([{ key: 'a', error: expect.any(TypeError) as unknown }])
  })

  test('a queue with nothing in flight stops at once, also twice', async () => {
    const { queue, timers } = setUp()
    queue.add('a', { after: minute })
    await Promise.all([queue.stop({ drainMs: minute }), queue.stop({ drainMs: minute })])
    expect(timers()).toBe(0)
  })
})

test('idle waits for all that is due, and for nothing that waits', async () => {
  const { clock, queue } = setUp(async () => {
    await clock.sleep(second)
    return { after: 60 * minute }
  }, 1)
  await queue.idle()
  queue.add('a')
  queue.add('b')
  let idle = false
  void queue.idle().then(() => (idle = true))
  await clock.advance(1999)
  expect(idle).toBe(false)
  await clock.advance(1)
  expect(idle).toBe(true)
  await queue.stop({ drainMs: 0 })
})

test('whatever is wished for happens in time, once, and leaves nothing behind', async () => {
  const wish = fc.record({
    pauseMs: fc.nat(20),
    key: fc.constantFrom('a', 'b', 'c'),
    after: fc.oneof(fc.constant(0), fc.nat(100)),
    priority: fc.constantFrom(-100, 0, 1),
  })
  let overlaps = 0
  await fc.assert(
    fc.asyncProperty(fc.array(wish, { minLength: 5, maxLength: 40 }), fc.nat(60), async (wishes, workMs) => {
      const working = new Set<string>()
      const { clock, queue, turns, bugs, timers } = setUp(async (key) => {
        expect(working.has(key)).toBe(false)
        working.add(key)
        if (workMs > 0) await clock.sleep(workMs)
        working.delete(key)
        return {}
      })
      const wanted: { key: string; from: number; by: number }[] = []
      for (const { pauseMs, key, after, priority } of wishes) {
        await clock.advance(pauseMs)
        const now = clock.monotonic()
        const running = working.has(key) ? turns.findLast((turn) => turn.key === key) : undefined
        if (running) overlaps += 1
        const from = running ? running.startedAt + workMs : now
        queue.add(key, { after, priority })
        wanted.push({ key, from, by: Math.max(from, now + after) })
      }
      await clock.advance(1000)
      for (const { key, from, by } of wanted) {
        const served = turns.some(
          (turn) => turn.key === key && turn.startedAt >= from && turn.startedAt <= by,
        )
        expect(served, `${key} between ${from} and ${by}`).toBe(true)
      }
      expect(turns.length).toBeLessThanOrEqual(wishes.length)
      expect(bugs).toEqual([])
      expect({ size: queue.size(), depth: queue.depth(), timers: timers() }).toEqual({
        size: 0,
        depth: 0,
        timers: 0,
      })
    }),
    { numRuns: 200 },
  )
  expect(overlaps).toBeGreaterThan(100)
})

test('works on the machine’s own clock', async () => {
  const served = new Set<string>()
  let markDone = (): void => {}
  const done = new Promise<void>((resolve) => (markDone = resolve))
  const queue = createWorkQueue({
    name: 'real',
    concurrency: 10,
    clock: systemClock,
    random: Math.random,
    process: async (key) => {
      served.add(key)
      if (served.size === 1000) markDone()
      return {}
    },
    onError: (_key, error) => expect.unreachable(String(error)),
  })
  for (let index = 0; index < 1000; index += 1) queue.add(`key-${index}`, { after: index % 20 })
  await done
  await queue.idle()
  expect(queue.size()).toBe(0)
  await queue.stop({ drainMs: 0 })
})
