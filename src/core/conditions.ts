import type { Condition } from '../api/resources.ts'
import { cut } from './cut.ts'
import { toTime } from './time.ts'

type Conditions = readonly Condition[] | undefined
/** As the schema allows. */
const maxMessageLength = 1024

/**
 * Puts a condition in place, ordered by type. Its time, in whole seconds as Kubernetes writes them, moves only when
 * status, reason or message do; `now` is in ms since 1970. Where nothing changes, the very same list comes back.
 */
export function setCondition(
  conditions: Conditions,
  next: Omit<Condition, 'lastTransitionTime'>,
  now: number,
): Condition[] {
  const before = getCondition(conditions, next.type)
  const message = cut(next.message, maxMessageLength)
  const same = before?.status === next.status && before.reason === next.reason && before.message === message
  if (same && before.observedGeneration === next.observedGeneration && isOrdered(conditions!))
    return conditions as Condition[]
  const lastTransitionTime = same ? before.lastTransitionTime : toTime(now).replace(/\.\d+Z$/, 'Z')
  const others = removeCondition(conditions, next.type)
  return [...others, { ...next, message, lastTransitionTime }].toSorted((a, b) => (a.type < b.type ? -1 : 1))
}

const isOrdered = (conditions: readonly Condition[]): boolean =>
  conditions.every(({ type }, place) => place === 0 || conditions[place - 1]!.type < type)

/** The list without conditions of this type; where there is none, the very same list. */
export const removeCondition = (conditions: Conditions, type: string): Condition[] =>
  getCondition(conditions, type)
    ? conditions!.filter((condition) => condition.type !== type)
    : ((conditions as Condition[] | undefined) ?? [])

export const getCondition = (conditions: Conditions, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type)

export const isTrue = (conditions: Conditions, type: string): boolean =>
  getCondition(conditions, type)?.status === 'True'
