import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import type { Manifest } from '../../src/api/resources.ts'
import {
  createDirectorySync,
  type Declared,
  type DeclaredRevision,
} from '../../src/controllers/sync-directory.ts'
import { sourceAnnotation } from '../../src/core/annotations.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { manifest } from '../support/toy-fleet.ts'

const category = manifest('Category', 'ap', { upgrader: 'toy' })
const device = (index: number): Manifest =>
  manifest('Device', `ap-${index}`, {
    categoryRef: { name: 'ap' },
    addresses: [`192.0.2.${index}`],
    credentialsRef: { name: 'routers' },
  })
const byHand = (name: string): Manifest =>
  manifest('UpgradeOperation', name, { deviceRef: { name: 'ap-1' }, buildRef: { name: 'new' } })
const idOf = ({ kind, metadata: { namespace, name } }: Manifest): string => `${kind}/${namespace}/${name}`

const revision = (
  manifests: readonly Manifest[],
  changes: Partial<DeclaredRevision> & { stale?: string } = {},
): DeclaredRevision => {
  const { stale, ...rest } = changes
  return {
    objects: new Map(
      manifests.map((item): [string, Declared] => [
        idOf(item),
        { manifest: item, folder: 'site', ...(stale === undefined ? {} : { staleBecause: stale }) },
      ]),
    ),
    spoiled: new Map(),
    incomplete: false,
    vanished: false,
    ...rest,
  }
}

function createWorld() {
  const store = createMemoryStore({ clock: createManualClock() })
  const events: FleetEvent[] = []
  const open = () => createDirectorySync(store, { emit: (event) => void events.push(event) })
  /** What is there, and not on its way out. */
  const names = async (): Promise<string[]> => {
    const kinds = ['Category', 'Device', 'UpgradeOperation'] as const
    const lists = await Promise.all(kinds.map((kind) => store.list(kind)))
    return lists.flatMap(({ items }) =>
      items.filter(({ metadata }) => !metadata.deletionTimestamp).map(({ metadata }) => metadata.name),
    )
  }
  const reasons = () => events.flatMap((event) => (event.type === 'Warning' ? [event.reason] : []))
  return { store, events, open, names, reasons }
}
const many = Array.from({ length: 10 }, (_, index) => device(index + 1))

describe('a revision', () => {
  test('is brought into the store, marked, and what it lacks goes', async () => {
    const { open, store, names } = createWorld()
    const sync = open()
    await sync.take(revision([category, device(1), device(2)]))
    expect(await names()).toEqual(['ap', 'ap-1', 'ap-2'])
    const stored = await store.get('Device', { namespace: 'default', name: 'ap-1' })
    expect(stored!.metadata).toMatchObject({
      annotations: { [sourceAnnotation]: 'directory' },
      finalizers: ['reflash.dev/device'],
    })
    await sync.take(revision([category, device(2)]))
    expect(await names()).toEqual(['ap', 'ap-2'])
  })
  test('taken twice writes nothing', async () => {
    const { open, store } = createWorld()
    const sync = open()
    await sync.take(revision([category, device(1)]))
    const { resourceVersion } = await store.list('Device')
    await sync.take(revision([category, device(1)]))
    await open().take(revision([category, device(1)]))
    expect((await store.list('Device')).resourceVersion).toBe(resourceVersion)
  })
  test('removes what an earlier run declared, and nothing that a directory never did', async () => {
    const { open, store, names } = createWorld()
    await open().take(revision([category, device(1), device(2)]))
    await store.create(device(3))
    await open().take(revision([category, device(1)]))
    expect(await names()).toEqual(['ap', 'ap-1', 'ap-3'])
  })
  test('writes what is referred to before what refers to it', async () => {
    const { open, store } = createWorld()
    await open().take(revision([device(1), category]))
    const versions = await Promise.all([store.list('Category'), store.list('Device')])
    const [first, second] = versions.map(({ items }) => Number(items[0]!.metadata.resourceVersion))
    expect(first).toBeLessThan(second!)
  })
})

describe('nothing is removed', () => {
  test('by a directory that has vanished', async () => {
    const { open, names, reasons } = createWorld()
    const sync = open()
    await sync.take(revision(many))
    await sync.take(revision([], { vanished: true }))
    expect(await names()).toHaveLength(10)
    expect(reasons()).toEqual(['DirectoryVanished'])
  })
  test('by a revision that is not whole, in this run or after a restart, until one is', async () => {
    const { open, names } = createWorld()
    const sync = open()
    await sync.take(revision([device(1), device(2)]))
    await sync.take(revision([device(1)], { incomplete: true }))
    expect(await names()).toEqual(['ap-1', 'ap-2'])
    const again = open()
    await again.take(revision([device(1)], { incomplete: true }))
    expect(await names()).toEqual(['ap-1', 'ap-2'])
    await again.take(revision([device(1)]))
    expect(await names()).toEqual(['ap-1'])
    await sync.take(revision([device(1)]))
    expect(await names()).toEqual(['ap-1'])
  })
  test('that is spoiled', async () => {
    const { open, names } = createWorld()
    const sync = open()
    await sync.take(revision([device(1), device(2)]))
    const spoiled = new Map([[idOf(device(2)), 'b.yaml: line 3:1: no']])
    await sync.take(revision([device(1)], { spoiled }))
    await open().take(revision([device(1)], { spoiled }))
    expect(await names()).toEqual(['ap-1', 'ap-2'])
  })
})

test('what was spoiled goes when its file goes, in this run or after a restart', async () => {
  for (const restart of [false, true]) {
    const { open, names } = createWorld()
    let sync = open()
    await sync.take(revision([device(1), device(2)]))
    if (restart) sync = open()
    await sync.take(revision([device(1)], { spoiled: new Map([[idOf(device(2)), 'b.yaml: line 3:1: no']]) }))
    await sync.take(revision([device(1)]))
    expect(await names()).toEqual(['ap-1'])
  }
})

describe('many devices gone at once', () => {
  test.each([
    [10, 5, true],
    [10, 6, false],
    [60, 54, false],
    [60, 53, true],
  ])('of %i %i stay: a warning is %s, and they go all the same', async (before, after, warned) => {
    const { open, names, reasons, events } = createWorld()
    const all = Array.from({ length: before }, (_, index) => device(index + 1))
    const sync = open()
    await sync.take(revision(all))
    await sync.take(revision(all.slice(0, after)))
    expect(await names()).toHaveLength(after)
    expect(reasons()).toEqual(warned ? ['SuspiciousRevision'] : [])
    if (warned)
      expect(events[0]).toMatchObject({
        message: `this revision removes ${before - after} of ${before} devices`,
      })
  })
})

test('an object whose file is broken says so, until the file is whole again', async () => {
  const { open, store } = createWorld()
  const sync = open()
  const errorOf = async () =>
    (await store.get('Device', { namespace: 'default', name: 'ap-1' }))!.metadata.annotations?.[
      'reflash.dev/source-error'
    ]
  await sync.take(revision([device(1)], { stale: `site/ap.yaml:3:1: ${'x'.repeat(2000)}` }))
  expect(await errorOf()).toMatch(/^site\/ap\.yaml:3:1: x{900}/)
  await sync.take(revision([device(1)]))
  expect(await errorOf()).toBeUndefined()
})

test('an object whose file was broken while nobody looked says so, until the file is whole again', async () => {
  const { open, store } = createWorld()
  const errorOf = async () =>
    (await store.get('Device', { namespace: 'default', name: 'ap-2' }))!.metadata.annotations?.[
      'reflash.dev/source-error'
    ]
  await open().take(revision([device(1), device(2)]))
  const spoiled = new Map([
    [idOf(device(2)), 'b.yaml: line 3:1: no'],
    ['Secret/default/routers', 'b.yaml: line 9:1: no'],
  ])
  const sync = open()
  await sync.take(revision([device(1)], { spoiled, incomplete: true }))
  expect(await errorOf()).toBe('b.yaml: line 3:1: no')
  await sync.take(revision([device(1), device(2)]))
  expect(await errorOf()).toBeUndefined()
})

test('an operation that was given another device while nobody looked stays as it was, and says so', async () => {
  const { open, store } = createWorld()
  await open().take(revision([byHand('op')]))
  const other = { ...byHand('op'), spec: { ...byHand('op').spec, deviceRef: { name: 'ap-2' } } } as Manifest
  await open().take(revision([other]))
  const stored = await store.get('UpgradeOperation', { namespace: 'default', name: 'op' })
  expect(stored!.spec.deviceRef.name).toBe('ap-1')
  expect(stored!.metadata.annotations?.['reflash.dev/source-error']).toBe(
    'spec.deviceRef: cannot change: an operation keeps its device',
  )
})

describe('an object that has left the store', () => {
  test('comes back while it is declared', async () => {
    const { open, store, names } = createWorld()
    const sync = open()
    await sync.take(revision([category, device(1)]))
    await store.delete('Category', { namespace: 'default', name: 'ap' })
    expect(await names()).toEqual(['ap-1'])
    await sync.restore(idOf(category))
    expect(await names()).toEqual(['ap', 'ap-1'])
  })
  test('stays away when it is not', async () => {
    const { open, names } = createWorld()
    const sync = open()
    await sync.restore(idOf(category))
    await sync.take(revision([device(1)]))
    await sync.restore(idOf(category))
    expect(await names()).toEqual(['ap-1'])
  })
})

describe("an operation of a policy, and a file of the operator's with the same name", () => {
  test('is neither overwritten nor removed with the file', async () => {
    const { open, store, names, reasons } = createWorld()
    const made = manifest('UpgradeOperation', 'ap-1-abc-1', {
      deviceRef: { name: 'ap-1' },
      buildRef: { name: 'old' },
      policyRef: { name: 'all' },
    })
    await store.create(made)
    const sync = open()
    await sync.take(revision([byHand('ap-1-abc-1')]))
    const stored = await store.get('UpgradeOperation', { namespace: 'default', name: 'ap-1-abc-1' })
    expect(stored!.spec).toMatchObject({ buildRef: { name: 'old' }, policyRef: { name: 'all' } })
    expect(reasons()).toEqual(['Conflict'])
    await sync.take(revision([category]))
    expect(await names()).toEqual(['ap', 'ap-1-abc-1'])
  })
  test('one that is spoiled does not remove it either', async () => {
    const { open, store, names } = createWorld()
    await store.create(
      manifest('UpgradeOperation', 'ap-1-abc-1', {
        deviceRef: { name: 'ap-1' },
        buildRef: { name: 'old' },
        policyRef: { name: 'all' },
      }),
    )
    const sync = open()
    await sync.take(
      revision([category], { spoiled: new Map([[idOf(byHand('ap-1-abc-1')), 'a.yaml: line 3:1: no']]) }),
    )
    await sync.take(revision([category]))
    expect(await names()).toEqual(['ap', 'ap-1-abc-1'])
  })
})
