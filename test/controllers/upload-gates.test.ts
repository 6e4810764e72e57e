import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createUploadGates } from '../../src/controllers/upload-gates.ts'

const calm = new AbortController().signal
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('the gate of a policy', () => {
  const gates = () => createUploadGates(createManualClock())

  test('is open without limits', async () => {
    const gate = gates().of('all', undefined)
    await Promise.all(Array.from({ length: 100 }, () => gate.enter(calm)))
    expect(gate.throttle).toBeUndefined()
    expect(gates().of('all', {}).throttle).toBeUndefined()
  })
  test('is one for the same limits, and a new one for others', () => {
    const all = gates()
    const gate = all.of('all', { maxConcurrent: 1 })
    expect(all.of('all', { maxConcurrent: 1 })).toBe(gate)
    expect(all.of('some', { maxConcurrent: 1 })).not.toBe(gate)
    expect(all.of('all', { maxConcurrent: 2 })).not.toBe(gate)
  })
  test('lets in as many as it may, and the next when one leaves, in their order', async () => {
    const gate = gates().of('all', { maxConcurrent: 2 })
    const order: number[] = []
    const leave: (() => void)[] = []
    for (const index of [0, 1, 2, 3]) {
      void gate.enter(calm).then((out) => {
        order.push(index)
        leave.push(out)
      })
    }
    await settle()
    expect(order).toEqual([0, 1])
    leave[1]!()
    await settle()
    expect(order).toEqual([0, 1, 2])
    leave[0]!()
    await settle()
    expect(order).toEqual([0, 1, 2, 3])
  })
  test('lets in first who asks to be', async () => {
    const gate = gates().of('all', { maxConcurrent: 1 })
    const order: string[] = []
    const leave = await gate.enter(calm)
    const enter = async (name: string, options?: { first: boolean }): Promise<void> => {
      const out = await gate.enter(calm, options)
      order.push(name)
      out()
    }
    const all = [enter('one'), enter('another'), enter('the first', { first: true })]
    leave()
    await Promise.all(all)
    expect(order).toEqual(['the first', 'one', 'another'])
  })
  test('refuses whoever has given up already, with their reason', async () => {
    const gate = gates().of('all', { maxConcurrent: 1 })
    await expect(gate.enter(AbortSignal.abort(new Error('shutting down')))).rejects.toThrow('shutting down')
    await gate.enter(calm)
  })
})

test('whatever comes, goes and gives up: never too many inside, and nobody is forgotten', async () => {
  const actions = fc.array(
    fc.record({
      kind: fc.constantFrom('enter', 'enter', 'leave', 'abort'),
      which: fc.nat(20),
      settles: fc.boolean(),
    }),
    { maxLength: 60 },
  )
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), actions, async (max, steps) => {
      const gate = createUploadGates(createManualClock()).of('all', { maxConcurrent: max })
      const inside: (() => void)[] = []
      const waiting = new Map<AbortController, 'waiting' | 'aborted'>()
      let most = 0
      for (const { kind, which, settles } of steps) {
        if (kind === 'enter') {
          const controller = new AbortController()
          waiting.set(controller, 'waiting')
          gate.enter(controller.signal).then(
            (leave) => {
              waiting.delete(controller)
              inside.push(leave)
              most = Math.max(most, inside.length)
            },
            () => waiting.delete(controller),
          )
        } else if (kind === 'leave') inside.splice(which % Math.max(1, inside.length), 1)[0]?.()
        else [...waiting.keys()][which % Math.max(1, waiting.size)]?.abort()
        if (settles) await settle()
      }
      await settle()
      expect(most).toBeLessThanOrEqual(max)
      while (inside.length > 0) {
        inside.shift()!()
        await settle()
        expect(inside.length).toBeLessThanOrEqual(max)
      }
      expect(waiting.size).toBe(0)
    }),
    { numRuns: 200 },
  )
})
