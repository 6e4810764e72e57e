/** Which of all the things that may go wrong do so in one world: each seed takes a few of them, and how often. */
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import type { UpgradePolicySpec } from '../../src/api/resources.ts'
import type { GovernorSettings } from '../../src/controllers/governor.ts'
import { faultKinds, type FaultKind } from '../../src/simulator/faults.ts'
import { knownReleases, type Release } from '../../src/simulator/release.ts'
import {
  drawAmbush,
  drawCrashAtEnd,
  drawCrashAtReturn,
  drawEndInUpload,
  drawFallBacks,
  type Ambush,
} from './ambush.ts'
import { drawBackupPlan, type BackupPlan } from './backup.ts'
import type { ImageServerTrouble } from './image-server.ts'
import { actNames, type ActName } from './operator.ts'
import { dayMs, hourMs, minuteMs } from './past.ts'
import type { StoreTrouble } from './troubled-store.ts'

export interface Swarm {
  /** Nothing goes wrong, so that exact counts can be asked for. */
  isQuiet: boolean
  routers: number
  limits: { maxConcurrent: number; startsPerMinute: number; upload?: { maxConcurrent: number } }
  /** Finished operations that are kept of a device. */
  operationsPerDevice: number
  /** Of the links to the routers. */
  uploadBytesPerSecond: number
  /** Between two probes of a router while all this goes on. */
  probeIntervalMs: number
  /** Between two knocks at a router that reboots. */
  reconnectRetry: string
  retry: UpgradePolicySpec['retry']
  /** What the routers run at first. */
  releases: readonly Release[]
  /** Whether routers have no room for an image until some of their services are stopped. */
  isScarce: boolean
  governor: GovernorSettings
  faults: {
    kinds: readonly FaultKind[]
    /** Of the routers, at first. */
    share: number
    /** One of these is how often each of them happens. */
    times: readonly number[]
    /** And again, to one of them, about so often. */
    everyMs: number | undefined
  }
  operator: { acts: readonly ActName[]; everyMs: number }
  ambush: Ambush | undefined
  /** An older state is put back. */
  backup: BackupPlan | undefined
  store: StoreTrouble | undefined
  imageServer: ImageServerTrouble | undefined
  crashes: number
  /** Controllers that all believe they lead. */
  controllers: number
  /** How long the world goes on when everything has come to rest. */
  afterMs: number
}

const generous: GovernorSettings = { maxInFlight: 50, maxStartsPerMinute: 1000, maxLostPerDay: 100 }

const usualRetry = defaultPolicySettings.retry
/** One attempt after the other, until it has many digits. */
const soonAgain: typeof usualRetry = { preFlash: 1, backoff: '10s', maxBackoff: '1m', quarantine: '20m' }
/** What makes an attempt fail, and no more than that. */
const lasting: readonly FaultKind[] = ['UploadCut', 'TmpFull', 'OutOfMemory']

const recentReleases = [knownReleases['23.05.5'], knownReleases['24.10.0']]
/** Without much of what upgrades rely on. */
const oldReleases = [knownReleases['15.05.1'], knownReleases['17.01.7'], knownReleases['21.02.7']]

/** Of several that all lead each has losses of its own, and would argue for ever about what that leaves to do. */
export const withoutLimitOfLosses = (governor: GovernorSettings): GovernorSettings => ({
  ...governor,
  maxLostPerDay: generous.maxLostPerDay,
})

/** A few of them: mostly not all that there is. */
const some = <T>(random: SeededRandom, items: readonly T[]): T[] => {
  const share = random()
  const chosen = items.filter(() => random.chance(share))
  return chosen.length > 0 ? chosen : [random.pick(items)]
}

/** @param wish Whether it has to be a quiet one, or must not be. */
export function drawSwarm(random: SeededRandom, wish?: boolean): Swarm {
  const isQuiet = random.chance(1 / 3) ? wish !== false : wish === true
  const limits = { maxConcurrent: random.integer(1, 5), startsPerMinute: random.integer(1, 10) }
  const routers = random.integer(1, 10)
  const afterMs = random.chance(1 / 10) ? random.integer(21, 29) * dayMs : 0
  // Manifests that ask for everything leave it to the governor.
  const ceiling = random.chance(1 / 5)
    ? {
        maxInFlight: random.integer(1, 3),
        maxStartsPerMinute: random.integer(1, 3),
        // A latch of weeks shows no more than one of a day.
        maxLostPerDay: isQuiet || afterMs > 0 ? 100 : random.integer(1, 3),
      }
    : generous
  const own = ceiling === generous ? limits : { maxConcurrent: 10_000, startsPerMinute: 10_000 }
  const link = random.fork('link')
  const memory = random.fork('memory')
  const controllers = controllersOf(random)
  const governor = controllers > 1 ? withoutLimitOfLosses(ceiling) : ceiling
  const calm = {
    isQuiet,
    routers,
    // An image takes less than a second, two, or minutes: longer than the window in which starts are counted.
    uploadBytesPerSecond: link.pick([1_000_000, 1_000_000, 20_000, 300]),
    // A router that is back is found at once, or only after it could have been looked at several times.
    reconnectRetry: random.fork('knocks').pick(['1s', '5s', '5s', '5s', '20s', '20s']),
    probeIntervalMs: random.fork('probes').pick([15 * minuteMs, hourMs]),
    isScarce: memory.chance(1 / 6),
    retry: usualRetry,
    releases: random.fork('releases').chance(1 / 4) ? oldReleases : recentReleases,
    governor,
    afterMs,
    controllers,
  }
  if (isQuiet)
    return {
      ...calm,
      limits: own,
      operationsPerDevice: 10,
      faults: { kinds: [], share: 0, times: [1], everyMs: undefined },
      operator: { acts: [], everyMs: Infinity },
      ambush: undefined,
      backup: undefined,
      store: undefined,
      imageServer: undefined,
      crashes: 0,
    }
  const ofBackup = random.fork('backup')
  const isImpatient = random.fork('retry').chance(1 / 16)
  const backup = controllers === 1 && ofBackup.chance(1 / 4) ? drawBackupPlan(ofBackup) : undefined
  const ofLosses = random.fork('losses')
  const crashesAtLoss = governor.maxLostPerDay < generous.maxLostPerDay && ofLosses.chance(1 / 3)
  const endsInUpload = calm.isScarce && memory.chance(1 / 2)
  const chosen = crashesAtLoss
    ? drawCrashAtEnd(ofLosses)
    : endsInUpload
      ? drawEndInUpload(memory)
      : drawAmbush(random.fork('ambush'))
  const acts = random.chance(2 / 3) ? some(random, actNames) : []
  const ofReturns = random.fork('returns')
  const crashesAtReturn = acts.includes('removeDevice') && ofReturns.chance(1 / 3)
  const ambush = controllers === 1 ? (crashesAtReturn ? drawCrashAtReturn(ofReturns) : chosen) : undefined
  return {
    ...calm,
    ...(isImpatient && { retry: soonAgain }),
    limits: link.chance(1 / 3) ? { ...own, upload: { maxConcurrent: link.integer(1, 2) } } : own,
    // Whoever comes back to a build that nobody remembers may flash it again.
    operationsPerDevice: acts.some((name) => name === 'rollBack' || name === 'rollForward')
      ? 10
      : link.integer(1, 2),
    faults: {
      kinds: crashesAtLoss ? ['NoReturn', 'LateReturn'] : isImpatient ? lasting : some(random, faultKinds),
      share: random.pick([0.1, 0.4, 0.8]),
      // Most things go wrong once; some until nobody tries any more.
      times: isImpatient ? [1, 20] : [1, 1, 1, 5],
      everyMs: random.chance(1 / 3) ? random.pick([5, 20, 60]) * minuteMs : undefined,
    },
    operator: {
      acts,
      everyMs: random.pick([1, 3, 10]) * minuteMs,
    },
    backup,
    ambush: backup && ofBackup.chance(2 / 3) ? drawFallBacks(ofBackup) : ambush,
    store: random.chance(1 / 6)
      ? {
          errorShare: random.chance(1 / 2) ? random() * 0.2 : 0,
          slowShare: random() * 0.2,
          slowestMs: random.pick([1000, 30_000]),
        }
      : undefined,
    imageServer: link.chance(1 / 4)
      ? { errorShare: link(), slowestMs: link.pick([1000, 5 * minuteMs]) }
      : undefined,
    crashes: random.integer(backup ? 1 : 0, 4),
  }
}

const controllersOf = (random: SeededRandom): number => {
  const draw = random()
  return draw < 0.06 ? 2 : draw < 0.08 ? 3 : 1
}
