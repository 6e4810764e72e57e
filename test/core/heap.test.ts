import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createHeap } from '../../src/core/heap.ts'

test('gives the least first, through any adding and removing', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ add: fc.nat(1000) }) },
    { weight: 2, arbitrary: fc.record({ remove: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.constant({ shift: true }) },
  )
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 300 }), (steps) => {
      const heap = createHeap<{ at: number }>((a, b) => a.at < b.at)
      const model: { at: number }[] = []
      for (const what of steps) {
        if ('add' in what) {
          const item = { at: what.add }
          model.push(item)
          heap.add(item)
          heap.add(item)
        } else {
          const victim = 'shift' in what ? heap.first() : model[what.remove]
          if (victim) {
            expect(heap.remove(victim)).toBe(true)
            expect(heap.remove(victim)).toBe(false)
            model.splice(model.indexOf(victim), 1)
          }
        }
        expect(heap.size()).toBe(model.length)
        expect(heap.first()?.at).toBe(model.length === 0 ? undefined : Math.min(...model.map(({ at }) => at)))
      }
      const drained: number[] = []
      for (let first = heap.first(); first; first = heap.first()) {
        drained.push(first.at)
        heap.remove(first)
      }
      expect(drained).toEqual(model.map(({ at }) => at).toSorted((a, b) => a - b))
    }),
  )
})

test('can be emptied', () => {
  const heap = createHeap<{ at: number }>((a, b) => a.at < b.at)
  const item = { at: 1 }
  heap.add(item)
  heap.clear()
  expect(heap.first()).toBeUndefined()
  heap.add(item)
  expect(heap.first()).toBe(item)
})
