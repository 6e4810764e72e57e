/** Two namespaces, one of which lacks what the other one has: nobody uses what is his neighbour's. */
import { expect, test } from 'vitest'
import type { Kind, Manifest } from '../../src/api/resources.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

const minutes = (count: number): number => count * 60_000

/** A whole fleet of one router, with the same names in whatever namespace. */
const fleetIn = (namespace: string, address: string): Manifest[] =>
  [
    manifest('Category', 'ap', { upgrader: 'toy' }),
    manifest('Build', 'new', { categoryRef: { name: 'ap' }, version: '2.0.0', osIdentifier: 'new' }),
    manifest('FirmwareImage', 'image', {
      buildRef: { name: 'new' },
      source: { path: 'image.bin' },
      boards: ['toy'],
    }),
    manifest('Device', 'ap-1', {
      categoryRef: { name: 'ap' },
      addresses: [address],
      credentialsRef: { name: 'routers' },
    }),
    manifest('UpgradePolicy', 'all', {
      categoryRef: { name: 'ap' },
      target: { buildRef: { name: 'new' }, allowDowngrade: false, onUnknownVersion: 'Upgrade' },
    }),
  ].map((item) => ({ ...item, metadata: { ...item.metadata, namespace } }))

async function twoNamespaces(lacks: Kind | 'Secret') {
  const withSecret = new Set(lacks === 'Secret' ? ['whole'] : ['whole', 'lacking'])
  const world = await createToyFleet({
    routers: 2,
    secrets: {
      read: async ({ namespace }) =>
        withSecret.has(namespace) ? { username: 'root', password: 'toy' } : undefined,
    },
  })
  const lacking = fleetIn('lacking', '192.0.2.2')
  for (const item of [...fleetIn('whole', '192.0.2.1'), ...lacking.filter(({ kind }) => kind !== lacks)])
    await world.store.apply(item)
  const app = await world.start()
  return {
    world,
    app,
    flashes: () => [...world.routers.values()].map((router) => router.flashes.length),
    give: async () => {
      for (const item of lacking.filter(({ kind }) => kind === lacks)) await world.store.apply(item)
      withSecret.add('lacking')
    },
  }
}

test.each([
  { lacks: 'Category', who: 'Device', says: 'category ap does not exist' },
  { lacks: 'Build', who: 'UpgradePolicy', says: 'build new does not exist' },
  { lacks: 'FirmwareImage', who: 'Device', says: 'no image of build new is Ready' },
  { lacks: 'Secret', who: 'Device', says: 'Secret routers does not exist in namespace lacking' },
  { lacks: 'UpgradePolicy', who: 'Device', says: 'no policy selects this device' },
] as const)('a $lacks in another namespace is none', async ({ lacks, who, says }) => {
  const { world, app, flashes, give } = await twoNamespaces(lacks)
  await world.clock.advance(minutes(30))
  expect(flashes()).toEqual([1, 0])
  const name = who === 'Device' ? 'ap-1' : 'all'
  const { status } = (await world.store.get(who, { namespace: 'lacking', name }))!
  const blocked = 'blocked' in status ? status.blocked?.message : undefined
  expect([blocked, ...status.conditions!.map(({ message }) => message)]).toContain(says)
  await give()
  await world.clock.advance(minutes(60))
  expect(flashes()).toEqual([1, 1])
  expect(world.events.filter(({ type }) => type === 'Bug')).toEqual([])
  await app.stop()
})

test('an operation upgrades no Device of another namespace', async () => {
  const { world, app, flashes } = await twoNamespaces('Device')
  const item = manifest('UpgradeOperation', 'by-hand', {
    deviceRef: { name: 'ap-1' },
    buildRef: { name: 'new' },
  })
  await world.clock.advance(minutes(30))
  await world.store.apply({ ...item, metadata: { ...item.metadata, namespace: 'lacking' } })
  await world.clock.advance(minutes(30))
  const operation = await world.store.get('UpgradeOperation', { namespace: 'lacking', name: 'by-hand' })
  expect(operation?.status).toMatchObject({ phase: 'Queued', message: 'device ap-1 does not exist' })
  expect(flashes()).toEqual([1, 0])
  await app.stop()
})
