import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { declare, type Declared } from '../../src/simulator/manifest.ts'

const category = { name: 'access-points' }

const device = (name: string, spec: object = {}): Declared =>
  declare('Device', name, {
    categoryRef: category,
    addresses: ['192.0.2.1'],
    credentialsRef: { name: 'routers' },
    ...spec,
  })

/** Objects that nothing good can come of. */
export const badObjects = {
  categoryOfNobody: () => [declare('Category', 'bad', { upgrader: 'openwrt' })],
  deviceThatNeverAnswers: () => [device('bad-1')],
  deviceWithoutCategory: () => [device('bad-1', { categoryRef: { name: 'nobody-knows' } })],
  deviceWithoutUpgrader: () => [device('bad-1', { upgrader: 'nobody-wrote-it' })],
  devicesAtOneAddress: () => [device('bad-1'), device('bad-2')],
  policyWithoutBuild: () => [
    declare('UpgradePolicy', 'bad', {
      categoryRef: category,
      priority: 1,
      target: { buildRef: { name: 'nobody-built-it' } },
    }),
  ],
  buildOfAnotherCategory: () => [
    declare('Build', 'bad', { categoryRef: { name: 'nobody-knows' }, version: '24.10.8' }),
  ],
  imageWithoutFile: () => [
    declare('FirmwareImage', 'bad', {
      buildRef: { name: 'access-points-24.10.8' },
      source: { path: 'images/nobody-has-it.bin' },
    }),
  ],
  operationForNobody: () => [
    declare('UpgradeOperation', 'bad', {
      deviceRef: { name: 'nobody' },
      buildRef: { name: 'access-points-24.10.8' },
    }),
  ],
} satisfies Record<string, () => [Declared, ...Declared[]]>

export type BadObject = keyof typeof badObjects
export const badObjectNames = Object.keys(badObjects) as BadObject[]

export async function addBadObject(name: BadObject, store: DeclaredStore): Promise<void> {
  for (const { manifest } of badObjects[name]()) await store.apply(manifest)
}
