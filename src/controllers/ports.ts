import type { Clock, Random } from '../ports/clock.ts'
import type { Connector } from '../ports/connector.ts'
import type { EventSink } from '../ports/event-sink.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { RecordStore } from '../ports/record-store.ts'
import type { ResourceStore } from '../ports/resource-store.ts'
import type { Secrets } from '../ports/secrets.ts'
import type { Upgrader } from '../ports/upgrader.ts'
import type { Fleet } from './fleet.ts'
import type { Governor } from './governor.ts'
import type { UploadGates } from './upload-gates.ts'

/** Everything that a reconciler may touch. */
export interface Ports {
  /** Writes go through to the fleet before they return. */
  store: ResourceStore
  fleet: Fleet
  records: RecordStore
  secrets: Secrets
  connector: Connector
  upgraders: ReadonlyMap<string, Upgrader>
  images: ImageStore
  events: EventSink
  clock: Clock
  random: Random
  governor: Governor
  uploads: UploadGates
  settings: Settings
}

export interface Settings {
  /** Between two probes of a device that answers. */
  probeIntervalMs: number
  /** Probes before this time, in ms since 1970, do not count: `--once` trusts only its own. */
  probesSince?: number
  /** Where a write costs others as well: what no safety hangs on waits for the next durable one, or for a while. */
  writesDurableOnly?: boolean
  /** A file may change under a Ready image: it is compared again after this; 10 min unless said. */
  imageRecheckMs?: number
  /** Absolute folder of the manifest that declares an image with a path; undefined where there is no directory. */
  folderOf?: (relativeFolder: string) => string
}

/** What a reconciler says about its key: look again after so many ms, or only when something changes. */
export interface Requeue {
  after?: number
}
export const done: Requeue = {}
