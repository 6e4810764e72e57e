import type { Blocked, CountName, UpgradeOperation } from '../api/resources.ts'
import { admit, attemptsOf, ownerOf, upgradeStem, type Check, type Subject } from './admit.ts'
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
  checks: Check[]
  /** Nothing but a free slot is missing: name and revision of the operation to make. */
  candidate?: { stem: string; revision: string; attempt: number }
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
  const base = { running, ...(desired === undefined ? {} : { desired }), ...(owner ? { owner: owner.metadata.name } : {}) }
  if (policies.length === 0) return { ...base, onTarget: false, checks: [], counts: new Map() }
  const { blocked, checks } = onTarget ? { blocked: undefined, checks: [] } : admit(subject)
  const stem = upgradeStem(subject)
  const latest = stem && attemptsOf(stem.stem, subject.operations)[0]
  const candidate =
    onTarget || blocked || !stem ? undefined : { ...stem, attempt: latest ? attemptNumber(latest) + 1 : 1 }
  return {
    ...base,
    onTarget,
    checks,
    ...(blocked ? { blocked } : {}),
    ...(candidate ? { candidate } : {}),
    counts: countsOf(subject, { onTarget, blocked, latest }),
  }
}

const attemptNumber = (operation: UpgradeOperation): number => Number(operation.metadata.name.split('-').at(-1))

function countsOf(
  subject: Subject,
  { onTarget, blocked, latest }: { onTarget: boolean; blocked: Blocked | undefined; latest: UpgradeOperation | undefined },
): Map<string, CountName[]> {
  const [first, ...others] = subject.policies
  const counts = new Map<string, CountName[]>()
  for (const policy of others) counts.set(policy.metadata.name, ['matched', 'held'])
  const names: CountName[] = ['matched']
  const unfinished = subject.operations.find((operation) => !isFinished(operation))
  if (onTarget) names.push('onTarget')
  else if (blocked && heldReasons.has(blocked.reason)) names.push('held')
  if (onTarget || !blocked || unfinished) names.push('eligible')
  if (unfinished && holdsSlot(unfinished)) names.push('inFlight')
  else if (!onTarget && (!blocked || unfinished)) names.push('queued')
  if (latest?.status.phase === 'Succeeded' && latest.status.reason !== 'AlreadyOnTarget') names.push('succeeded')
  if (latest?.status.phase === 'Failed' && !onTarget) {
    names.push('failed')
    if (latest.status.failureClass === 'Lost') names.push('lost')
    if (latest.status.failureClass === 'RolledBack') names.push('rolledBack')
  } else if (blocked?.reason === 'RolledBack') names.push('failed', 'rolledBack')
  if (blocked?.reason === 'Unreachable') names.push('offline')
  if (blocked?.reason === 'Quarantined') names.push('quarantined')
  if (blocked?.reason === 'NoImage' || blocked?.reason === 'AmbiguousImage') names.push('unsupported')
  if (blocked?.reason === 'NeverProbed') names.push('unknown')
  counts.set(first!.metadata.name, names)
  return counts
}
