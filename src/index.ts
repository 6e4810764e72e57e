/** The public API: what an upgrader of one's own is written against, and the resources as TypeScript sees them. */
export { errorTable, ReflashError, type ErrorCode } from './core/errors.ts'
export { parseDuration } from './core/duration.ts'
export type {
  AnyResource,
  Build,
  Category,
  Condition,
  Device,
  FailureClass,
  FirmwareImage,
  Key,
  Kind,
  KindMap,
  LabelSelector,
  Manifest,
  ObjectMeta,
  Phase,
  UpgradeOperation,
  UpgradeOptions,
  UpgradePolicy,
} from './api/resources.ts'
export type { ImageMetadata } from './core/stored-image.ts'
export type {
  Connector,
  Credentials,
  ExecOptions,
  ExecResult,
  Session,
  Target,
  UploadOptions,
} from './ports/connector.ts'
export type { Job, Probe, StartResult, StartToken, UploadContext, Upgrader } from './ports/upgrader.ts'
