import type { SeededRandom } from '../adapters/clock/random.ts'
import type { Clock } from '../ports/clock.ts'
import { createPendingFaults, type FaultOf, type PendingFaults } from './faults.ts'
import type { RouterEvent, RouterFact, StartOrder } from './history.ts'
import { createHostKey, type HostKey } from './host-key.ts'
import { type Release, traitsOf } from './release.ts'

/** How long things take. */
export interface Timings {
  /** From the first packet to an authenticated session. */
  connectMs: number
  /** One command without its work, there and back. */
  commandMs: number
  uploadBytesPerSecond: number
  /** `sysupgrade -T`. */
  testMs: number
  /** From the start of sysupgrade until the router is gone. */
  shutdownMs: number
  /** sysupgrade that fails right away takes this long to do so. */
  startDiesMs: number
  /** Writing the flash. */
  flashMs: number
  /** From the last byte written, or from a plain reboot, until SSH answers again. */
  rebootMs: number
}

const defaultTimings: Timings = {
  connectMs: 400,
  commandMs: 60,
  uploadBytesPerSecond: 1_000_000,
  testMs: 1500,
  shutdownMs: 1500,
  startDiesMs: 3000,
  flashMs: 60_000,
  rebootMs: 35_000,
}

/** What an image says of itself to the router. */
export interface StoredFirmware {
  release: Release
  boards: readonly string[]
  compatVersion: string
}

/** A file in /tmp: not its bytes, which nobody reads, but all that is ever asked of them. */
export interface StoredFile {
  sizeBytes: number
  sha256: string
  md5: string
  /** Absent when it is no test image. */
  firmware: StoredFirmware | undefined
}

/** Everything about a router that commands see or change. Paths are as on the device. */
export interface MachineState {
  power: 'Up' | 'Down'
  bootId: string
  release: Release
  /** What /etc/openwrt_release says, where that is not so. */
  said: Release | undefined
  board: string
  model: string
  compatVersion: string
  memoryAvailableBytes: number
  tmpBytes: number
  /** Files in /tmp, by path. */
  files: Map<string, StoredFile>
  /** /etc/reflash/last, kept over an upgrade. */
  marker: { operation: string; sha256: string; bootId: string } | undefined
  /** The newest lock; it is void once the uptime has passed. */
  lock: { operation: string; voidAfterSeconds: number } | undefined
  /** /tmp/reflash.md5: the MD5 of the image in place, and the SHA-256 that it was sent for. */
  md5: string | undefined
  stoppedServices: string[]
  /** Lines of the log of the flash. */
  log: string[]
  /** The operation whose sysupgrade runs. */
  upgrading: string | undefined
  /** Guards that are at work. */
  guards: number
  hostKeys: HostKey[]
  /** Sorted. */
  macs: string[]
  password: string
  /** OpenSSH public-key lines. */
  authorizedKeys: readonly string[]
  outage: { untilMs: number; answer: 'Refuses' | 'Silent' } | undefined
}

export interface MachineOptions {
  name: string
  clock: Clock
  random: SeededRandom
  release: Release
  /** Default `tplink,archer-c7-v5`. */
  board?: string
  model?: string
  /** Password of root; default `correct-horse`. */
  password?: string
  authorizedKeys?: readonly string[]
  compatVersion?: string
  memoryAvailableBytes?: number
  tmpBytes?: number
  timings?: Partial<Timings>
}

/** How the connections of a router end: closed, or without a word. */
export type LinkEnd = 'Closed' | 'Silent'

/** The router itself: its state, what it goes through by itself, and the record of it. */
export interface Machine {
  readonly name: string
  readonly clock: Clock
  readonly timings: Timings
  readonly state: MachineState
  readonly history: readonly RouterEvent[]
  readonly faults: PendingFaults
  readonly record: (fact: RouterFact) => void
  readonly uptimeSeconds: () => number
  /** Whether it is up and the network reaches it. */
  readonly isReachable: () => boolean
  /** Whether it has sha256sum, and not md5sum alone. */
  readonly hasSha256sum: () => boolean
  /** Starts sysupgrade in the background. */
  readonly startFlash: (order: StartOrder, imagePath: string) => void
  readonly reboot: () => void
  /** Boots what is installed, at once, whatever it was doing. */
  readonly powerCycle: () => void
  readonly cutNetwork: (outage: FaultOf<'Outage'>) => void
  /** Another device takes over the address. */
  readonly replace: (board: string) => void
  /** Calls `fn` after `ms`, unless it goes down, boots or is replaced before. */
  readonly later: (ms: number, fn: () => void) => void
  /** Called when all connections end, and again when it is back. */
  readonly onPower: (listener: (power: 'Up' | 'Down', how: LinkEnd) => void) => () => void
}

const uuid = (random: SeededRandom): string =>
  'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replaceAll('x', () => random.integer(0, 15).toString(16))

const macs = (random: SeededRandom): string[] => {
  const octet = () => random.integer(0, 255).toString(16).padStart(2, '0')
  const prefix = ['60:e3:27', octet(), octet()].join(':')
  const last = random.integer(0, 254)
  return [last, last + 1].map((value) => `${prefix}:${value.toString(16).padStart(2, '0')}`)
}

const hostKeysOf = (release: Release, random: SeededRandom): HostKey[] => {
  const rsa = createHostKey('ssh-rsa', random)
  return traitsOf(release).ed25519 ? [rsa, createHostKey('ssh-ed25519', random)] : [rsa]
}

const mebibyte = 2 ** 20

const initialState = (options: MachineOptions, random: SeededRandom): MachineState => ({
  power: 'Up',
  bootId: uuid(random),
  release: options.release,
  said: undefined,
  board: options.board ?? 'tplink,archer-c7-v5',
  model: options.model ?? 'TP-Link Archer C7 v5',
  compatVersion: options.compatVersion ?? '1.0',
  memoryAvailableBytes: options.memoryAvailableBytes ?? 90 * mebibyte,
  tmpBytes: options.tmpBytes ?? 60 * mebibyte,
  files: new Map(),
  marker: undefined,
  lock: undefined,
  md5: undefined,
  stoppedServices: [],
  log: [],
  upgrading: undefined,
  guards: 0,
  hostKeys: hostKeysOf(options.release, random),
  macs: macs(random),
  password: options.password ?? 'correct-horse',
  authorizedKeys: options.authorizedKeys ?? [],
  outage: undefined,
})

/** One router. It acts on its own through the clock, and every draw comes from its own random stream. */
export const createMachine = (options: MachineOptions): Machine => {
  const { name, clock } = options
  const random = options.random.fork('machine')
  const timings = { ...defaultTimings, ...options.timings }
  const state = initialState(options, random)
  const history: RouterEvent[] = []
  const listeners = new Set<(power: 'Up' | 'Down', how: LinkEnd) => void>()
  /** Counts boots and losses of power: what was planned in another life does not happen. */
  let life = 0
  let bootedAtMs = clock.monotonic()
  /** What the name of the board is read from at each boot. */
  let hardware = state.board

  const record = (fact: RouterFact) =>
    void history.push({ ...fact, atMs: clock.monotonic(), wallMs: clock.now() })
  const faults = createPendingFaults(({ kind }) => record({ type: 'Fault', kind }))
  const later = (ms: number, fn: () => void) => {
    const planned = life
    clock.after(ms, () => {
      if (life === planned) fn()
    })
  }
  /** Nothing takes exactly the same time twice. */
  const about = (ms: number) => ms * (0.9 + 0.2 * random())
  const tell = (power: 'Up' | 'Down', how: LinkEnd) => {
    for (const listener of listeners) listener(power, how)
  }

  const goDown = (how: LinkEnd) => {
    if (state.power === 'Up') record({ type: 'WentDown', bootId: state.bootId })
    life += 1
    state.power = 'Down'
    tell('Down', how)
  }

  const loseConfig = () => {
    state.hostKeys = hostKeysOf(state.release, random)
    state.password = ''
    state.authorizedKeys = []
    state.marker = undefined
  }

  const addHostKey = () => {
    if (!state.hostKeys.some(({ type }) => type === 'ssh-ed25519'))
      state.hostKeys = [...state.hostKeys, createHostKey('ssh-ed25519', random)]
  }

  const boot = () => {
    life += 1
    bootedAtMs = clock.monotonic()
    // What was in memory is gone.
    Object.assign(state, {
      power: 'Up',
      board: hardware,
      said: undefined,
      bootId: uuid(random),
      files: new Map(),
      lock: undefined,
      md5: undefined,
      guards: 0,
      stoppedServices: [],
      log: [],
      upgrading: undefined,
    } satisfies Partial<MachineState>)
    if (traitsOf(state.release).ed25519) addHostKey()
    record({ type: 'Booted', bootId: state.bootId, board: state.board, release: state.release })
    tell('Up', 'Closed')
  }

  const writeFlash = (order: StartOrder, image: StoredFile | undefined) => {
    const removed = faults.take('ImageRemoved') !== undefined
    if (!removed && image?.firmware !== undefined) {
      const { release } = image.firmware
      const { bootId } = state
      record({ type: 'FlashWritten', operation: order.operation, sha256: image.sha256, release, bootId })
      if (faults.take('RolledBack') === undefined) {
        state.release = faults.take('WrongRelease')?.release ?? release
        if (faults.take('ConfigLost') !== undefined) loseConfig()
        if (faults.take('AddedHostKey') !== undefined) addHostKey()
      }
    }
    if (faults.take('NoReturn') !== undefined) return
    later(about(timings.rebootMs) + (faults.take('LateReturn')?.ms ?? 0), boot)
  }

  const startFlash = (order: StartOrder, imagePath: string) => {
    const { bootId, board, release } = state
    const imageBoards = state.files.get(imagePath)?.firmware?.boards ?? []
    record({
      type: 'FlashStarted',
      bootId,
      board,
      release,
      uptimeSeconds: uptimeSeconds(),
      imageBoards,
      order,
    })
    state.upgrading = order.operation
    state.log.push('Commencing upgrade. Closing all shell sessions.')
    const lies = faults.take('Lies') !== undefined
    if (lies) state.said = state.files.get(imagePath)?.firmware?.release
    if (lies || faults.take('StartDies') !== undefined) {
      later(timings.startDiesMs, () => {
        state.upgrading = undefined
        state.log.push('Failed to kill all processes.')
        record({ type: 'FlashDied', operation: order.operation, bootId })
      })
      return
    }
    later(about(timings.shutdownMs), () => {
      // Read only now: whoever removes or replaces the file after the start does so under sysupgrade.
      const image = state.files.get(imagePath)
      goDown(faults.take('NoFin') === undefined ? 'Closed' : 'Silent')
      later(about(timings.flashMs), () => writeFlash(order, image))
    })
  }

  const isReachable = () => {
    if (state.outage !== undefined && state.outage.untilMs <= clock.monotonic()) state.outage = undefined
    return state.power === 'Up' && state.outage === undefined
  }

  const uptimeSeconds = () => Math.floor((clock.monotonic() - bootedAtMs) / 1000)

  record({ type: 'Booted', bootId: state.bootId, board: state.board, release: state.release })

  return {
    name,
    clock,
    timings,
    state,
    history,
    faults,
    record,
    uptimeSeconds,
    later,
    startFlash,
    isReachable,
    hasSha256sum: () => traitsOf(state.release).sha256sum && faults.take('NoSha256sum') === undefined,
    reboot: () => {
      if (state.power === 'Down') return
      goDown('Closed')
      later(about(timings.rebootMs), boot)
    },
    powerCycle: () => {
      goDown('Silent')
      boot()
    },
    cutNetwork: ({ ms, answer }) => {
      state.outage = { untilMs: clock.monotonic() + ms, answer }
      tell('Down', 'Silent')
      clock.after(ms, () => {
        if (isReachable()) tell('Up', 'Closed')
      })
    },
    replace: (board) => {
      goDown('Silent')
      hardware = board
      state.macs = macs(random)
      state.hostKeys = hostKeysOf(state.release, random)
      state.marker = undefined
      boot()
    },
    onPower: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
