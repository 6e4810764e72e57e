import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { kinds } from '../../src/api/kinds.ts'
import type { AnyResource, Device, Phase } from '../../src/api/resources.ts'
import { Fleet, writeThrough } from '../../src/controllers/fleet.ts'
import { toTime } from '../../src/core/time.ts'
import { operation, policy } from '../support/core-objects.ts'
import { manifest } from '../support/toy-fleet.ts'

const key = { namespace: 'default', name: 'ap-1' }
const spec = { categoryRef: { name: 'ap' }, addresses: ['192.0.2.1'], credentialsRef: { name: 'routers' } }

async function deviceBeingRemoved() {
  const clock = createManualClock()
  const store = createMemoryStore({ clock })
  const fleet = new Fleet(clock)
  const device = manifest('Device', key.name, spec)
  await store.apply({ ...device, metadata: { ...device.metadata, finalizers: ['reflash.dev/device'] } })
  await store.delete('Device', key)
  const object = (await store.get('Device', key)) as Device
  fleet.apply('Added', object)
  return { store, fleet, object }
}

describe('word of the end of an object', () => {
  test('may overtake the answer to the write that ended it', async () => {
    const { store, fleet, object } = await deviceBeingRemoved()
    const overtaken: typeof store = {
      ...store,
      setFinalizers: async (before, finalizers) => {
        const answer = await store.setFinalizers(before, finalizers)
        fleet.apply('Deleted', { ...before, metadata: { ...before.metadata, resourceVersion: '1000' } })
        return answer
      },
    }
    await writeThrough(overtaken, fleet).setFinalizers(object, [])
    expect(fleet.list('Device')).toEqual([])
  })

  test('may overtake a list that was made before', async () => {
    const { fleet, object } = await deviceBeingRemoved()
    const { resourceVersion } = object.metadata
    fleet.apply('Deleted', { ...object, metadata: { ...object.metadata, resourceVersion: '1000' } })
    fleet.replace({ kind: 'Device', objects: [object], resourceVersion })
    expect(fleet.list('Device')).toEqual([])
  })

  test('is not the end of another of its name', async () => {
    const { fleet, object } = await deviceBeingRemoved()
    fleet.apply('Deleted', object)
    const metadata = { ...object.metadata, resourceVersion: '1000', uid: 'another' }
    fleet.apply('Added', { ...object, metadata })
    expect(fleet.list('Device').map(({ metadata: { uid } }) => uid)).toEqual(['another'])
  })
})

test.each(kinds.map(({ kind }) => kind))(
  'a %s that a list does not name has gone meanwhile, unless it is younger than the list',
  (kind) => {
    const fleet = new Fleet(createManualClock())
    const object = (name: string, resourceVersion: string) =>
      ({
        ...manifest(kind as 'Device', name, spec),
        metadata: { namespace: key.namespace, name, uid: name, generation: 1, resourceVersion },
        spec: { ...spec, buildRef: { name: 'new' }, deviceRef: { name: 'ap' } },
        status: {},
      }) as unknown as AnyResource
    const [named, gone, younger] = [object('named', '1'), object('gone', '2'), object('younger', '6')]
    for (const each of [named, gone, younger]) fleet.apply('Added', each)
    fleet.replace({ kind, objects: [named], resourceVersion: '5' })
    expect(fleet.list(kind).map(({ metadata }) => metadata.name)).toEqual(['named', 'younger'])
  },
)

test('a start of before the wall clock was set back counts from when it is first told of, and once', async () => {
  const clock = createManualClock()
  const fleet = new Fleet(clock)
  const times = { Flashing: toTime(clock.now() + 3_600_000) }
  const tell = (resourceVersion: string, phase: Phase): void => {
    const told = operation('ap-1-1', { phase, times })
    fleet.apply('Modified', { ...told, metadata: { ...told.metadata, resourceVersion } })
  }
  tell('1', 'Flashing')
  expect(fleet.nextStart(policy(), 1)).toBe(clock.now() + 60_000)
  expect(fleet.startsLastMinute()).toBe(1)
  await clock.advance(59_999)
  expect(fleet.nextStart(policy(), 1)).toBe(clock.now() + 1)
  await clock.advance(1)
  expect(fleet.nextStart(policy(), 1)).toBeUndefined()
  tell('2', 'Rebooting')
  expect(fleet.nextStart(policy(), 1)).toBeUndefined()
  expect(fleet.startsLastMinute()).toBe(0)
})
