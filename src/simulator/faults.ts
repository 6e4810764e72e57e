import type { SeededRandom } from '../adapters/clock/random.ts'
import type { ScriptName } from '../upgraders/openwrt/scripts.ts'
import type { Release } from './release.ts'

/** What the OpenWrt upgrader runs on a device. */
export type CommandName = ScriptName | 'upload'
/** One of them, or whichever comes next. */
export type CommandChoice = CommandName | 'any'

/** Everything that can go wrong with one router. Each happens at its occasion, as often as it was asked for. */
export type Fault =
  // At a connection.
  /** The connection takes this much longer. */
  | { kind: 'SlowConnect'; ms: number }
  /** The right password or key is refused. */
  | { kind: 'AuthRefused' }
  /** Only the SHA-1 key exchange is offered, whatever the release. */
  | { kind: 'LegacyOnly' }
  // At a command.
  /** The connection dies before the command has reached the router, or after it was run and before its answer. */
  | { kind: 'LinkLost'; command: CommandChoice; at: 'Before' | 'After' }
  /** The command reaches the router only after this time, and is then run whether or not anybody still waits. */
  | { kind: 'LateDelivery'; command: CommandChoice; ms: number }
  /** The command is run, but nothing is ever answered. */
  | { kind: 'NoAnswer'; command: CommandChoice }
  /** The command answers with so many bytes of noise. */
  | { kind: 'HugeOutput'; command: CommandChoice; bytes: number }
  /** Every field of a probe that people read is full of control characters and escape sequences. */
  | { kind: 'ControlCharacters' }
  | { kind: 'NoSha256sum' }
  | { kind: 'NoMemAvailable' }
  /** A probe finds only so much memory. */
  | { kind: 'LowMemory'; availableBytes: number }
  // At an upload.
  /** The connection dies when the router has so many bytes. */
  | { kind: 'UploadCut'; afterBytes: number }
  /** The router takes so many bytes and then no more, with the connection open. */
  | { kind: 'UploadStalled'; afterBytes: number }
  /** A bit of what arrives is wrong. */
  | { kind: 'UploadCorrupted' }
  /** Somebody else has filled /tmp. */
  | { kind: 'TmpFull' }
  /** The kernel kills the upload: exit 137. */
  | { kind: 'OutOfMemory' }
  // At the device's own test of the image: the one before the start, or the one within it.
  | { kind: 'TestRefused'; text: string; atStart?: boolean }
  // At the start of a flash.
  /** The guard starts the flash, but its answer is lost with its shell: this exit code (null: none) and no output. */
  | { kind: 'StartExit'; code: 246 | 10 | 0 | null }
  /** The marker of the start cannot be written: the guard refuses. */
  | { kind: 'OverlayFull' }
  /** Until its next boot the router says of itself that it runs a build of somebody's own. */
  | { kind: 'ReleaseEdited' }
  /** Somebody on the router gets there first: with another board name, another image, an upgrade or a lock of their own. */
  | { kind: 'Tampered'; what: 'Board' | 'Image' | 'Upgrade' | 'Lock' }
  /** sysupgrade dies right after its start: the same boot goes on. */
  | { kind: 'StartDies' }
  /** The same, and in that boot the router says that it runs the release of the image. */
  | { kind: 'Lies' }
  /** The router goes down without closing its connections. */
  | { kind: 'NoFin' }
  /** The old release boots although the flash was written. */
  | { kind: 'RolledBack' }
  /** The image disappears under sysupgrade: nothing is written, the old release boots. */
  | { kind: 'ImageRemoved' }
  /** Another release than the image's boots. */
  | { kind: 'WrongRelease'; release: Release }
  /** The configuration is lost: new host keys, no password, no authorized keys, no marker. */
  | { kind: 'ConfigLost' }
  /** The router comes back with one more host key, an ed25519 one. */
  | { kind: 'AddedHostKey' }
  /** The router comes back this much later. */
  | { kind: 'LateReturn'; ms: number }
  /** The router never comes back. */
  | { kind: 'NoReturn' }
  // At once.
  /** The network is cut: every connection dies in silence, and new ones are refused or get no answer. */
  | { kind: 'Outage'; ms: number; answer: 'Refuses' | 'Silent' }
  /** Another device answers at the address: another board, other MAC addresses and host keys. */
  | { kind: 'OtherDevice'; board: string }
  /** The router reboots by itself after this time. */
  | { kind: 'SpontaneousReboot'; afterMs: number }

export type FaultKind = Fault['kind']
export type FaultOf<K extends FaultKind> = Extract<Fault, { kind: K }>

const minuteMs = 60_000

/** One way to draw each fault: also the closed list of their kinds. */
const draws: { [K in FaultKind]: (random: SeededRandom) => FaultOf<K> } = {
  SlowConnect: (random) => ({ kind: 'SlowConnect', ms: random.integer(1000, 90_000) }),
  AuthRefused: () => ({ kind: 'AuthRefused' }),
  LegacyOnly: () => ({ kind: 'LegacyOnly' }),
  LinkLost: (random) => ({
    kind: 'LinkLost',
    command: random.pick(['probe', 'upload', 'test', 'guard', 'guard', 'guard', 'any']),
    at: random.pick(['Before', 'After']),
  }),
  LateDelivery: (random) => ({
    kind: 'LateDelivery',
    command: 'guard',
    ms: random.integer(minuteMs / 2, 20 * minuteMs),
  }),
  NoAnswer: (random) => ({ kind: 'NoAnswer', command: random.pick(['probe', 'test', 'guard', 'any']) }),
  HugeOutput: (random) => ({
    kind: 'HugeOutput',
    command: random.pick(['probe', 'test', 'guard']),
    bytes: random.integer(2 ** 17, 2 ** 21),
  }),
  ControlCharacters: () => ({ kind: 'ControlCharacters' }),
  NoSha256sum: () => ({ kind: 'NoSha256sum' }),
  NoMemAvailable: () => ({ kind: 'NoMemAvailable' }),
  LowMemory: (random) => ({ kind: 'LowMemory', availableBytes: random.integer(2 ** 20, 8 * 2 ** 20) }),
  UploadCut: (random) => ({ kind: 'UploadCut', afterBytes: random.integer(0, 2 ** 16) }),
  UploadStalled: (random) => ({ kind: 'UploadStalled', afterBytes: random.integer(0, 2 ** 16) }),
  UploadCorrupted: () => ({ kind: 'UploadCorrupted' }),
  TmpFull: () => ({ kind: 'TmpFull' }),
  OutOfMemory: () => ({ kind: 'OutOfMemory' }),
  TestRefused: (random) => ({
    kind: 'TestRefused',
    text: random.pick(refusals),
    atStart: random.chance(1 / 2),
  }),
  StartExit: (random) => ({ kind: 'StartExit', code: random.pick([246, 10, 0, null]) }),
  OverlayFull: () => ({ kind: 'OverlayFull' }),
  ReleaseEdited: () => ({ kind: 'ReleaseEdited' }),
  Tampered: (random) => ({
    kind: 'Tampered',
    what: random.pick(['Board', 'Image', 'Upgrade', 'Lock']),
  }),
  StartDies: () => ({ kind: 'StartDies' }),
  Lies: () => ({ kind: 'Lies' }),
  NoFin: () => ({ kind: 'NoFin' }),
  RolledBack: () => ({ kind: 'RolledBack' }),
  ImageRemoved: () => ({ kind: 'ImageRemoved' }),
  WrongRelease: () => ({
    kind: 'WrongRelease',
    release: { distribution: 'OpenWrt', version: 'SNAPSHOT', revision: 'r35906-3d1645ee26' },
  }),
  ConfigLost: () => ({ kind: 'ConfigLost' }),
  AddedHostKey: () => ({ kind: 'AddedHostKey' }),
  LateReturn: (random) => ({
    kind: 'LateReturn',
    ms: random.integer(20 * minuteMs, 20 * 24 * 60 * minuteMs),
  }),
  NoReturn: () => ({ kind: 'NoReturn' }),
  Outage: (random) => ({
    kind: 'Outage',
    ms: random.integer(10_000, 60 * minuteMs),
    answer: random.pick(['Refuses', 'Silent']),
  }),
  OtherDevice: () => ({ kind: 'OtherDevice', board: 'netgear,r6220' }),
  SpontaneousReboot: (random) => ({ kind: 'SpontaneousReboot', afterMs: random.integer(0, 30 * minuteMs) }),
}

/** What real devices say when they refuse an image. */
const refusals = [
  'Device tplink,archer-c7-v5 not supported by this image\nSupported devices: other,board\nImage check failed.',
  'Image metadata not present\nImage check failed.',
  'The device is supported, but the config is incompatible to the new image (1.0->1.1). Please upgrade without keeping config (sysupgrade -n).\nImage check failed.',
  'Invalid image type.\nImage check failed.',
] as const

export const faultKinds = Object.keys(draws) as FaultKind[]

/** A fault of this kind with random particulars. */
export const drawFault = (kind: FaultKind, random: SeededRandom): Fault => draws[kind](random)

/** These are no accidents but what a router is like: once there, they stay. */
const lasting: ReadonlySet<FaultKind> = new Set(['LegacyOnly', 'NoSha256sum', 'NoMemAvailable'])

/** The faults that wait for their occasions on one router. */
export interface PendingFaults {
  add(fault: Fault, times: number): void
  /** The first waiting fault of the kind that fits, which is then used up by one. */
  take<K extends FaultKind>(kind: K, fits?: (fault: FaultOf<K>) => boolean): FaultOf<K> | undefined
}

/** @param onTaken Called for every occasion at which a fault happens; for an endless one at the first alone. */
export const createPendingFaults = (onTaken: (fault: Fault) => void): PendingFaults => {
  const waiting: { fault: Fault; times: number }[] = []
  const reported = new Set<Fault>()
  return {
    add: (fault, times) => void waiting.push({ fault, times: lasting.has(fault.kind) ? Infinity : times }),
    take: <K extends FaultKind>(kind: K, fits: (fault: FaultOf<K>) => boolean = () => true) => {
      const at = waiting.findIndex(({ fault }) => fault.kind === kind && fits(fault as FaultOf<K>))
      const entry = waiting[at]
      if (entry === undefined) return undefined
      entry.times -= 1
      if (entry.times <= 0) waiting.splice(at, 1)
      if (!reported.has(entry.fault)) onTaken(entry.fault)
      if (entry.times === Infinity) reported.add(entry.fault)
      return entry.fault as FaultOf<K>
    },
  }
}
