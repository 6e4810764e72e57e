import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createHeap } from '../../src/core/heap.ts'

test('gives the least first, through any adding and removing', () => {
  const step = fc.oneof(
    fc.record({ add: fc.nat(50) }),
    fc.record({ remove: fc.nat(200) }),
    fc.constant({ shift: true }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
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
