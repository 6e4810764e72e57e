/** The resources as TypeScript sees them: defaulted specs, and statuses that are never absent. */
import type { Static } from 'typebox'
import type { build } from './schemas/build.ts'
import type { category } from './schemas/category.ts'
import type { device } from './schemas/device.ts'
import type { firmwareImage } from './schemas/firmware-image.ts'
import type { failureClasses, phases, upgradeOperation } from './schemas/upgrade-operation.ts'
import type { countNames, upgradePolicy } from './schemas/upgrade-policy.ts'

export type { LabelSelector, UpgradeOptions } from './schemas/common.ts'

export interface ObjectMeta {
  name: string
  namespace: string
  uid: string
  /** Opaque, but ordered within one store: compare with `compareVersions` of the store port. */
  resourceVersion: string
  /** Counts changes of the spec; a change of status or metadata leaves it alone. */
  generation: number
  creationTimestamp: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
}

interface Resource<K, Spec, Status> {
  apiVersion: 'reflash.dev/v1alpha1'
  kind: K
  metadata: ObjectMeta
  spec: Spec
  status: Status
}

export type CategoryStatus = Static<typeof category.status>
export type BuildStatus = Static<typeof build.status>
export type FirmwareImageStatus = Static<typeof firmwareImage.status>
export type DeviceStatus = Static<typeof device.status>
export type UpgradePolicyStatus = Static<typeof upgradePolicy.status>
export type UpgradeOperationStatus = Static<typeof upgradeOperation.status>

export type DeviceSpec = Static<typeof device.spec>
export type UpgradePolicySpec = Static<typeof upgradePolicy.spec>
export type UpgradeOperationSpec = Static<typeof upgradeOperation.spec>

export type Category = Resource<'Category', Static<typeof category.spec>, CategoryStatus>
export type Build = Resource<'Build', Static<typeof build.spec>, BuildStatus>
export type FirmwareImage = Resource<'FirmwareImage', Static<typeof firmwareImage.spec>, FirmwareImageStatus>
export type Device = Resource<'Device', DeviceSpec, DeviceStatus>
export type UpgradePolicy = Resource<'UpgradePolicy', UpgradePolicySpec, UpgradePolicyStatus>
export type UpgradeOperation = Resource<'UpgradeOperation', UpgradeOperationSpec, UpgradeOperationStatus>

export interface KindMap {
  Category: Category
  Build: Build
  FirmwareImage: FirmwareImage
  Device: Device
  UpgradePolicy: UpgradePolicy
  UpgradeOperation: UpgradeOperation
}
export type Kind = keyof KindMap
export type AnyResource = KindMap[Kind]

/** What somebody declares: an accepted manifest, with defaults filled in and no server's fields yet. */
export interface Manifest<K extends Kind = Kind> {
  apiVersion: 'reflash.dev/v1alpha1'
  kind: K
  metadata: {
    name: string
    namespace: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    finalizers?: string[]
  }
  spec: KindMap[K]['spec']
}

export type Condition = NonNullable<DeviceStatus['conditions']>[number]
export type Phase = (typeof phases)[number]
export type FailureClass = (typeof failureClasses)[number]
export type CountName = (typeof countNames)[number]
export type Blocked = NonNullable<DeviceStatus['blocked']>

/** Name of an object inside its kind. */
export interface Key {
  namespace: string
  name: string
}
