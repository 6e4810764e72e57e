/** What happens at a given moment of an upgrade: chance alone would seldom bring both together. */
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import type { Phase } from '../../src/api/resources.ts'
import type { FaultKind } from '../../src/simulator/faults.ts'
import type { ActName } from './operator.ts'
import { minuteMs } from './past.ts'

/** Where it may lie: in a phase of an operation, or where a device that was removed has got back what was known of it. */
export type Moment = Phase | 'Returned'

export interface Ambush {
  phase: Moment
  /** From this entry into the phase on, of all that there are. */
  nth: number
  /** At so many of them. */
  times: number
  afterMs: number
  does:
    | { kind: 'Crash' }
    | { kind: 'End' }
    | { kind: 'Act'; name: ActName }
    | { kind: 'Fault'; name: FaultKind }
}

const beforeStart: readonly Phase[] = ['Connecting', 'Checking', 'Uploading', 'Testing']
const crash = { kind: 'Crash' } as const
const act = (name: ActName) => ({ kind: 'Act', name }) as const
const fault = (name: FaultKind) => ({ kind: 'Fault', name }) as const

/** What comes to whom when: pairs that a world would otherwise have once in hundreds. */
const kinds: readonly { phases: readonly Phase[]; does: readonly Ambush['does'][]; most?: number }[] = [
  { phases: ['Flashing'], does: [crash] },
  { phases: beforeStart, does: [act('halt'), act('pause'), act('abort'), act('hold'), act('removeDevice')] },
  { phases: beforeStart, does: [fault('OtherDevice'), fault('Tampered'), fault('TestRefused')] },
  { phases: ['Flashing'], does: [fault('NoReturn'), fault('LateReturn'), fault('RolledBack')], most: 4 },
]

/** Around a phase: at its very beginning, or within what it takes. */
const delays = [0, 100, 5000]

/** Routers fall back: what makes it matter most that what they tell of it is heard. */
export const drawFallBacks = (random: SeededRandom): Ambush => ({
  phase: 'Flashing',
  nth: 1,
  times: random.integer(1, 4),
  afterMs: 0,
  does: fault('RolledBack'),
})

/** A loss is told in two places, and nobody may forget it in between. */
export const drawCrashAtEnd = (random: SeededRandom): Ambush => ({
  phase: 'Failed',
  nth: random.integer(1, 3),
  times: 1,
  afterMs: 0,
  does: crash,
})

/** What was known of a router is in one of two places at any time. */
export const drawCrashAtReturn = (random: SeededRandom): Ambush => ({
  phase: 'Returned',
  nth: random.integer(1, 2),
  times: 1,
  afterMs: 0,
  does: crash,
})

/** Services of a router are stopped, and have to run again. */
export const drawEndInUpload = (random: SeededRandom): Ambush => ({
  phase: random.pick(['Uploading', 'Testing']),
  nth: random.integer(1, 3),
  times: 1,
  afterMs: random.integer(0, random.pick([10, 1000, minuteMs])),
  does: { kind: 'End' },
})

export function drawAmbush(random: SeededRandom): Ambush {
  const { phases, does, most = 1 } = random.pick(kinds)
  const longestMs = random.pick(delays)
  return {
    phase: random.pick(phases),
    nth: random.integer(1, 3),
    times: random.integer(1, most),
    afterMs: random.integer(0, longestMs),
    does: random.pick(does),
  }
}
