import { compilePath, printValue } from '../core/json-path.ts'
import { isRecord, type ReadObject } from './api-objects.ts'
import { CliError, exitCodes } from './context.ts'
import { shown } from './render-text.ts'

/** What `wait` waits for. */
export type Goal =
  | { type: 'delete' }
  | { type: 'condition'; name: string; status: string }
  | { type: 'value'; path: string; read: (object: unknown) => unknown[]; wanted: string | undefined }

/** How an object stands towards the goal. */
export type Standing =
  | { state: 'Met' }
  | { state: 'Waiting' }
  /** Nothing changes that without a person. */
  | { state: 'Never'; message: string }

const words = '--for must be delete, condition=NAME[=STATUS] or jsonpath=PATH[=VALUE]'

/** @throws CliError, or ReflashError for a path that cannot be read. */
export function readGoal(text: string): Goal {
  if (text === 'delete') return { type: 'delete' }
  const condition = /^condition=(?<name>[A-Za-z0-9./-]{1,316})(?:=(?<status>[A-Za-z]+))?$/.exec(text)?.groups
  if (condition) return { type: 'condition', name: condition['name']!, status: condition['status'] ?? 'True' }
  // The path ends with its brace, since what is compared may hold an "=" of its own, as may a filter.
  const value = /^jsonpath=(?<path>\{.*\}|[^{}=]+)(?:=(?<wanted>[^{}]*))?$/s.exec(text)?.groups
  if (value) {
    const path = value['path']!
    return { type: 'value', path, read: compilePath(path), wanted: value['wanted'] }
  }
  throw new CliError(`${words}, found "${shown(text)}"`, exitCodes.usage)
}

/** The goal in words, for sentences. */
export function goalWords(goal: Goal): string {
  switch (goal.type) {
    case 'delete':
      return 'the removal'
    case 'condition':
      return `condition ${goal.name}=${goal.status}`
    case 'value':
      return goal.wanted === undefined ? goal.path : `${goal.path}=${goal.wanted}`
  }
}

/** An object that is there; what is not there is judged by `standsGone`. */
export function standing(goal: Goal, object: ReadObject): Standing {
  if (goal.type === 'delete') return { state: 'Waiting' }
  if (isMet(goal, object)) return { state: 'Met' }
  const message = obstacle(goal, object)
  return message === undefined ? { state: 'Waiting' } : { state: 'Never', message }
}

export const standsGone = (goal: Goal): Standing =>
  goal.type === 'delete' ? { state: 'Met' } : { state: 'Never', message: 'it was removed' }

function isMet(goal: Exclude<Goal, { type: 'delete' }>, object: ReadObject): boolean {
  if (goal.type === 'value') {
    const values = goal.read(object)
    return goal.wanted === undefined
      ? values.some((value) => value !== undefined && value !== null && value !== '')
      : values.some((value) => printValue(value) === goal.wanted)
  }
  const condition = conditionOf(object, goal.name)
  return condition !== undefined && same(condition['status'], goal.status) && !isStale(object, condition)
}

/** Why the goal will not be met by waiting, where that is so. */
function obstacle(goal: Goal, object: ReadObject): string | undefined {
  for (const type of ['Stalled', 'Paused']) {
    const condition = conditionOf(object, type)
    const isWanted = goal.type === 'condition' && same(goal.name, type)
    if (condition && !isWanted && same(condition['status'], 'True') && !isStale(object, condition)) {
      return shown(`${type}: ${textOf(condition['reason'])}: ${textOf(condition['message'])}`)
    }
  }
  const phase = textOf(object.status?.['phase'])
  const isOver = object.kind === 'UpgradeOperation' && ['Succeeded', 'Failed', 'Cancelled'].includes(phase)
  return isOver ? shown(`it has ${phase.toLowerCase()}: ${textOf(object.status?.['message'])}`) : undefined
}

function conditionOf({ status }: ReadObject, name: string): Record<string, unknown> | undefined {
  const conditions = status?.['conditions']
  if (!Array.isArray(conditions)) return undefined
  return conditions.filter(isRecord).find(({ type }) => same(type, name))
}

/** Said of an older spec: the controller has not looked at the present one yet. */
function isStale({ metadata, status }: ReadObject, condition: Record<string, unknown>): boolean {
  const observed = condition['observedGeneration'] ?? status?.['observedGeneration']
  return typeof observed === 'number' && metadata.generation !== undefined && observed < metadata.generation
}

const same = (a: unknown, b: string): boolean => typeof a === 'string' && a.toLowerCase() === b.toLowerCase()
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
