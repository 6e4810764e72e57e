import { expect, test } from 'vitest'
import { createWholeKind } from '../../src/adapters/kubernetes/whole-kind.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { AnyResource } from '../../src/api/resources.ts'
import type { StoreEvent } from '../../src/ports/resource-store.ts'

const kind = 'Category'
const object = (namespace: string, name: string, resourceVersion = '1'): AnyResource => ({
  apiVersion: 'reflash.dev/v1alpha1',
  kind,
  metadata: {
    namespace,
    name,
    uid: name,
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
    resourceVersion,
  },
  // What they are does not matter here.
  spec: {} as never,
  status: {},
})
const listed = (resourceVersion: string, ...objects: AnyResource[]): StoreEvent => ({
  type: 'Listed',
  kind,
  objects,
  resourceVersion,
})
const bookmark = (resourceVersion: string): StoreEvent => ({ type: 'Bookmark', kind, resourceVersion })
const change = (type: 'Added' | 'Modified' | 'Deleted', changed: AnyResource): StoreEvent => ({
  type,
  object: changed,
})
const [a1, a2, b1] = [object('a', '1'), object('a', '2'), object('b', '1')]

test('of one place everything is told as it is', () => {
  const whole = createWholeKind(kind, 1)
  for (const event of [listed('5', a1), change('Modified', a1), bookmark('7')])
    expect(whole(event, 'a')).toBe(event)
})

test('nothing is told before every place has been listed; then all of it', () => {
  const whole = createWholeKind(kind, 2)
  expect(whole(listed('5', a1), 'a')).toBeUndefined()
  expect(whole(change('Added', a2), 'a')).toBeUndefined()
  expect(whole(bookmark('9'), 'a')).toBeUndefined()
  expect(whole(listed('7', b1), 'b')).toEqual(listed('7', a1, a2, b1))
})

test('a list of one place, later, keeps what is known of the others', () => {
  const whole = createWholeKind(kind, 2)
  whole(listed('5', a1, a2), 'a')
  whole(listed('5', b1), 'b')
  const [deleted, younger] = [change('Deleted', a1), change('Modified', object('b', '1', '6'))]
  expect([whole(deleted, 'a'), whole(younger, 'b')]).toEqual([deleted, younger])
  expect(whole(listed('8'), 'a')).toEqual(listed('8', object('b', '1', '6')))
  expect(whole(listed('9'), 'b')).toEqual(listed('9'))
})

test('a bookmark goes no further than the place that is furthest behind', () => {
  const whole = createWholeKind(kind, 2)
  whole(listed('5'), 'a')
  whole(listed('6'), 'b')
  expect(whole(bookmark('10'), 'b')).toEqual(bookmark('5'))
  expect(whole(bookmark('9'), 'a')).toEqual(bookmark('9'))
  expect(whole(bookmark('100'), 'a')).toEqual(bookmark('10'))
})

test('of a place that is not heard of, another one tells changes and no bookmarks', () => {
  const whole = createWholeKind(kind, 3)
  const interrupted: StoreEvent = { type: 'Interrupted', kind, error: new ReflashError('Expired', 'no') }
  for (const place of ['a', 'b', 'c']) whole(listed('5'), place)
  for (const place of ['a', 'b']) expect(whole(interrupted, place)).toBe(interrupted)
  const added = change('Added', object('c', '1', '6'))
  expect(whole(added, 'c')).toBe(added)
  expect(whole(bookmark('7'), 'c')).toBeUndefined()
  expect(whole(listed('8', a1), 'a')).toEqual(listed('8', a1, object('c', '1', '6')))
  expect(whole(bookmark('8'), 'a')).toBeUndefined()
  expect(whole(bookmark('9'), 'b')).toEqual(bookmark('7'))
})

test('an interruption is told even before the first list', () => {
  const interrupted: StoreEvent = { type: 'Interrupted', kind, error: new ReflashError('Forbidden', 'no') }
  expect(createWholeKind(kind, 2)(interrupted, 'a')).toBe(interrupted)
})
