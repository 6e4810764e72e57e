import type { Condition } from '../api/resources.ts'
import { toTime } from './time.ts'

type Conditions = readonly Condition[] | undefined
const maxMessageLength = 1024

/** Puts a condition in place. Its time moves only when status, reason or message do; order is by type. */
export function setCondition(
  conditions: Conditions,
  next: Omit<Condition, 'lastTransitionTime'>,
  now: number,
): Condition[] {
  const before = getCondition(conditions, next.type)
  const message = next.message.slice(0, maxMessageLength)
  const same = before?.status === next.status && before.reason === next.reason && before.message === message
  // Whole seconds, as Kubernetes writes them.
  const lastTransitionTime = same ? before.lastTransitionTime : toTime(Math.floor(now / 1000) * 1000).replace('.000Z', 'Z')
  const others = (conditions ?? []).filter(({ type }) => type !== next.type)
  return [...others, { ...next, message, lastTransitionTime }].toSorted((a, b) => (a.type < b.type ? -1 : 1))
}

export const removeCondition = (conditions: Conditions, type: string): Condition[] =>
  (conditions ?? []).filter((condition) => condition.type !== type)

export const getCondition = (conditions: Conditions, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type)

export const isTrue = (conditions: Conditions, type: string): boolean =>
  getCondition(conditions, type)?.status === 'True'
