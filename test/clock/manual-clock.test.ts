import { describe, expect, it } from 'vitest'
import { createManualClock, microtasks } from '../../src/adapters/clock/manual-clock.ts'

describe('manual clock', () => {
  it('wakes sleepers in the order of their times, equal times in the order of arrival', async () => {
    const clock = createManualClock()
    const woken: string[] = []
    for (const [name, ms] of [
      ['c', 30],
      ['a', 10],
      ['b1', 20],
      ['b2', 20],
    ] as const)
      void clock.sleep(ms).then(() => woken.push(`${name}@${clock.monotonic()}`))
    await clock.advance(25)
    expect(woken).toEqual(['a@10', 'b1@20', 'b2@20'])
    await clock.advance(5)
    expect(woken.at(-1)).toBe('c@30')
  })

  it.each([
    ['a turn of the event loop', undefined],
    ['microtasks alone', microtasks],
  ])('lets promises settle before the next sleeper wakes, by %s', async (_, settle) => {
    const clock = createManualClock(0, settle)
    const seen: string[] = []
    void clock.sleep(10).then(async () => {
      for (let depth = 0; depth < 50; depth += 1) await Promise.resolve()
      seen.push('first is done')
    })
    clock.after(10, () => seen.push('second'))
    await clock.advance(10)
    expect(seen).toEqual(['first is done', 'second'])
  })

  it('wakes within one advance whoever falls asleep on the way', async () => {
    const clock = createManualClock()
    let rounds = 0
    void (async () => {
      for (;;) {
        await clock.sleep(7)
        rounds += 1
      }
    })()
    await clock.advance(70)
    expect(rounds).toBe(10)
    expect(clock.monotonic()).toBe(70)
  })

  it('rejects a sleep with the reason of its signal and forgets it', async () => {
    const clock = createManualClock()
    const abort = new AbortController()
    const sleeping = clock.sleep(1000, abort.signal)
    const reason = { why: 'enough' }
    abort.abort(reason)
    await expect(sleeping).rejects.toBe(reason)
    await expect(clock.sleep(1, abort.signal)).rejects.toBe(reason)
    expect(clock.nextWakeMs()).toBeUndefined()
  })

  it('cancels what after has started, also in great numbers', async () => {
    const clock = createManualClock()
    let fired = 0
    const cancels = Array.from({ length: 1000 }, (_, at) => clock.after((at * 37) % 101, () => (fired += 1)))
    for (const [at, cancel] of cancels.entries()) if (at % 10 !== 0) cancel()
    await clock.advance(200)
    expect(fired).toBe(100)
  })

  it('jumps on the wall alone', async () => {
    const clock = createManualClock(1000)
    let woken = false
    clock.after(50, () => (woken = true))
    clock.jump(3_600_000)
    clock.jump(-1000)
    expect(clock.now()).toBe(3_600_000)
    expect(clock.monotonic()).toBe(0)
    await clock.advance(49)
    expect(woken).toBe(false)
  })

  it('runs until a condition holds and stops there', async () => {
    const clock = createManualClock()
    let ticks = 0
    const tick = (): void => {
      ticks += 1
      clock.after(10, tick)
    }
    tick()
    await clock.runUntil(() => ticks === 5, 1000)
    expect(clock.monotonic()).toBe(40)
    await expect(clock.runUntil(() => ticks === 500, 1000)).rejects.toMatchObject({ code: 'Timeout' })
  })

  it('refuses to be moved by two at once', async () => {
    const clock = createManualClock()
    const first = clock.advance(10)
    await expect(clock.advance(10)).rejects.toMatchObject({ code: 'Busy' })
    await first
  })
})
