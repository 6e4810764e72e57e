import { createHash } from 'node:crypto'
import type { FaultKind } from './faults.ts'
import type { Release } from './release.ts'

/** What the device guard was told, and so what a flash was started with. */
export interface StartOrder {
  operation: string
  /** Token: the boot and the release that the start was decided for, and the latest uptime. */
  bootId: string
  board: string
  revision: string
  maxUptimeSeconds: number
  sha256: string
}

/** Something that really happened to a router, whatever anybody believes of it. */
export type RouterFact =
  | { type: 'Connected'; bootId: string }
  | { type: 'AuthRefused' }
  | { type: 'Uploaded'; sha256: string; sizeBytes: number; bootId: string }
  | { type: 'ServicesStopped'; services: string[] }
  | { type: 'ServicesStarted'; services: string[] }
  | { type: 'Tested'; sha256: string | undefined; code: number }
  /** The guard was run; verdict 0 is a start, anything else its refusal. */
  | { type: 'Guard'; verdict: number; bootId: string; uptimeSeconds: number; order: StartOrder }
  /** sysupgrade was started, in this boot, on this board, running this release. */
  | {
      type: 'FlashStarted'
      bootId: string
      board: string
      uptimeSeconds: number
      release: Release
      imageBoards: readonly string[]
      order: StartOrder
    }
  /** The started sysupgrade came to nothing before it touched the flash. */
  | { type: 'FlashDied'; operation: string; bootId: string }
  | { type: 'FlashWritten'; operation: string; sha256: string; release: Release; bootId: string }
  | { type: 'WentDown'; bootId: string }
  | { type: 'Booted'; bootId: string; board: string; release: Release }
  | { type: 'Fault'; kind: FaultKind }

/** A fact with its time; `atMs` is monotonic, `wallMs` is what clocks on walls showed. */
export type RouterEvent = RouterFact & { atMs: number; wallMs: number }

type EventOf<T extends RouterFact['type']> = Extract<RouterEvent, { type: T }>

/** Events of one type, in order. */
export const eventsOf = <T extends RouterFact['type']>(
  history: readonly RouterEvent[],
  type: T,
): EventOf<T>[] => history.filter((event): event is EventOf<T> => event.type === type)

/** What a router ran at a moment, or the boot that came last before it. */
export const bootAt = (history: readonly RouterEvent[], atMs: number): EventOf<'Booted'> | undefined =>
  eventsOf(history, 'Booted').findLast((boot) => boot.atMs <= atMs)

/** One number for everything that happened, to routers or others, in order: equal seeds give equal hashes. */
export const hashHistories = (histories: Iterable<readonly object[]>): string => {
  const hash = createHash('sha256')
  for (const history of histories) hash.update(JSON.stringify(history)).update('\n')
  return hash.digest('hex')
}
