import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCandidates } from '../../src/controllers/candidates.ts'
import { orderHash } from '../../src/core/names.ts'

const drain = (candidates: ReturnType<typeof createCandidates>): string[] => {
  const order: string[] = []
  for (let next = candidates.first(); next !== undefined; next = candidates.first()) {
    order.push(next)
    candidates.remove(next)
  }
  return order
}
const names = Array.from({ length: 50 }, (_, index) => `default/ap-${index}`)

test('the order does not depend on who came first, and differs between revisions', () => {
  const orderOf = (devices: string[], revision: string): string[] => {
    const candidates = createCandidates()
    for (const device of devices) candidates.add(device, revision)
    return drain(candidates)
  }
  expect(orderOf(names, 'one')).toEqual(orderOf(names.toReversed(), 'one'))
  expect(orderOf(names, 'one')).not.toEqual(orderOf(names, 'two'))
  expect(new Set(orderOf(names, 'one')).size).toBe(50)
})

test('whoever joins or leaves moves nobody else', () => {
  const candidates = createCandidates()
  for (const device of names) candidates.add(device, 'one')
  const first = candidates.first()!
  candidates.remove(names.find((device) => device !== first)!)
  expect(candidates.first()).toBe(first)
  candidates.remove(first)
  expect(candidates.first()).not.toBe(first)
  candidates.add(first, 'one')
  expect([candidates.first(), candidates.size]).toEqual([first, 49])
})

test('any sequence of arrivals, removals and new revisions leaves the least place in front', () => {
  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom('add', 'add', 'remove'),
      device: fc.nat(9),
      revision: fc.constantFrom('one', 'two', 'three'),
    }),
    { maxLength: 400 },
  )
  fc.assert(
    fc.property(steps, (sequence) => {
      const candidates = createCandidates()
      const model = new Map<string, number>()
      for (const { kind, device, revision } of sequence) {
        const name = `default/ap-${device}`
        if (kind === 'add') {
          candidates.add(name, revision)
          model.set(name, orderHash(revision, name))
        } else {
          candidates.remove(name)
          model.delete(name)
        }
        const [least] = [...model].toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
        expect(candidates.first()).toBe(least?.[0])
        expect(candidates.size).toBe(model.size)
      }
    }),
  )
})
