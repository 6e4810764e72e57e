/** What is kept of the past: of each device the latest operation, and no more than its policy says. */
import type { UpgradeOperation } from '../../src/api/resources.ts'
import { isFinished } from '../../src/core/operation.ts'
import { isFinal, memoriesOf, type Past } from './past.ts'

/** For a world in which no device was removed, and no clock jumped: both may take the latest one away. */
export function* judgeHistory(past: Past): Generator<string> {
  const { rest } = past
  const { writes } = memoriesOf(past).at(-1)!
  const most = rest.policy.spec.history.operationsPerDevice
  const kept = Map.groupBy(rest.operations.filter(isKeptForAWhile), ({ spec }) => spec.deviceRef.name)
  for (const { metadata } of rest.devices) {
    const own = kept.get(metadata.name) ?? []
    if (own.length > most)
      yield `history: ${metadata.name} has ${own.length} operations, and may have ${most}`
    const last = writes.findLast(
      ({ device, policy, phase }) => device === metadata.name && policy !== undefined && isFinal(phase),
    )
    if (last && !rest.operations.some((operation) => operation.metadata.uid === last.uid))
      yield `history: ${metadata.name} has lost its latest operation, ${last.operation}`
  }
}

const isKeptForAWhile = (operation: UpgradeOperation): boolean =>
  isFinished(operation) && operation.spec.policyRef !== undefined
