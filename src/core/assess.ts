import type { Blocked, CountName, UpgradeOperation } from '../api/resources.ts'
import { admit, attemptsOf, ownerOf, upgradeStem, type Subject } from './admit.ts'
import { runsBuild } from './match.ts'
import { holdsSlot, isFinished } from './operation.ts'

/** Where one device stands, shared slots apart: what its status and the counts of its policy are made from. */
export interface Assessment {
  /** Builds of the category that it runs; two of them are rebuilds under the same release. */
  running: string[]
  /** Name of the build that it should run. */
  desired?: string
  /** Name of the policy that owns it. */
  owner?: string
  onTarget: boolean
  blocked?: Blocked
  /** Nothing but a free slot is missing: what the operation is to be, all of one and the same look at the policy. */
  candidate?: { stem: string; revision: string; build: string; attempt: number }
  /** What it adds to the counts of each policy that selects it. */
  counts: Map<string, CountName[]>
}

const heldReasons = new Set(['Held', 'Pinned', 'OwnedByPolicy', 'PolicyConflict'])

/** Judges one device against the policies that select it. */
export function assess(subject: Subject): Assessment {
  const { device, policies, target } = subject
  const running = subject.builds
    .filter((candidate) => runsBuild(device.status, candidate))
    .map(({ build }) => build.metadata.name)
  const owner = ownerOf(policies)
  const desired = policies[0]?.spec.target.buildRef.name
  const onTarget = target !== undefined && running.includes(target.build.metadata.name)
  const base = {
    running,
    ...(desired === undefined ? {} : { desired }),
    ...(owner ? { owner: owner.metadata.name } : {}),
  }
  if (policies.length === 0) return { ...base, onTarget: false, counts: new Map() }
  const upgrade = upgradeStem(subject)
  const blocked = onTarget ? undefined : admit(subject, undefined, upgrade).blocked
  const latest = upgrade && attemptsOf(upgrade.stem, subject.operations)[0]
  const candidate =
    onTarget || blocked || !upgrade || !target
      ? undefined
      : { ...upgrade, build: target.build.metadata.name, attempt: latest ? attemptNumber(latest) + 1 : 1 }
  return {
    ...base,
    onTarget,
    ...(blocked ? { blocked } : {}),
    ...(candidate ? { candidate } : {}),
    counts: countsOf(subject, { onTarget, blocked, latest }),
  }
}

const attemptNumber = (operation: UpgradeOperation): number =>
  Number(operation.metadata.name.split('-').at(-1))

/** What is known of a device when it is counted. */
interface Counted {
  onTarget: boolean
  blocked: Blocked | undefined
  /** The latest attempt at this very upgrade. */
  latest: UpgradeOperation | undefined
  unfinished: UpgradeOperation | undefined
  /** Whether an operation holds it. */
  claimed: boolean
}

const failed = ({ onTarget, latest }: Counted): boolean => latest?.status.phase === 'Failed' && !onTarget
const failedAs = (counted: Counted, failureClass: string): boolean =>
  failed(counted)
    ? counted.latest?.status.failureClass === failureClass
    : counted.blocked?.reason === failureClass
/** Until its claim is freed, what has been found out about a device is not in its status yet. */
const isInFlight = ({ unfinished, claimed }: Counted): boolean =>
  claimed || (unfinished !== undefined && holdsSlot(unfinished))

/** Which devices each count of a policy takes in. */
const countRules: Record<CountName, (counted: Counted) => boolean> = {
  matched: () => true,
  eligible: ({ onTarget, blocked, unfinished }) => onTarget || !blocked || unfinished !== undefined,
  onTarget: ({ onTarget }) => onTarget,
  queued: (counted) =>
    !isInFlight(counted) && !counted.onTarget && (!counted.blocked || counted.unfinished !== undefined),
  inFlight: isInFlight,
  succeeded: ({ latest }) =>
    latest?.status.phase === 'Succeeded' && latest.status.reason !== 'AlreadyOnTarget',
  failed: (counted) => failed(counted) || counted.blocked?.reason === 'RolledBack',
  lost: (counted) => failedAs(counted, 'Lost'),
  rolledBack: (counted) => failedAs(counted, 'RolledBack'),
  offline: ({ blocked }) => blocked?.reason === 'Unreachable',
  quarantined: ({ blocked }) => blocked?.reason === 'Quarantined',
  held: ({ onTarget, blocked }) => !onTarget && blocked !== undefined && heldReasons.has(blocked.reason),
  unsupported: ({ blocked }) => blocked?.reason === 'NoImage' || blocked?.reason === 'AmbiguousImage',
  unknown: ({ blocked }) => blocked?.reason === 'NeverProbed',
}
export const countNames = Object.keys(countRules) as CountName[]

/** What a device adds to the counts of the policies that select it; whoever does not own it only holds it. */
function countsOf(
  subject: Subject,
  known: Omit<Counted, 'unfinished' | 'claimed'>,
): Map<string, CountName[]> {
  const [first, ...others] = subject.policies
  const counts = new Map<string, CountName[]>()
  for (const policy of others) counts.set(policy.metadata.name, ['matched', 'held'])
  const open = subject.operations.filter((operation) => !isFinished(operation))
  const unfinished = open.find(holdsSlot) ?? open[0]
  const claimed = subject.device.status.operationRef !== undefined
  const counted = { ...known, unfinished, claimed }
  counts.set(
    first!.metadata.name,
    countNames.filter((name) => countRules[name](counted)),
  )
  return counts
}
