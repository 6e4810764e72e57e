import type { DeviceStatus } from '../api/status-api.ts'
import { formatDuration } from '../core/duration.ts'
import { transitions } from '../core/transitions.ts'
import { isRecord, type ReadObject } from './api-objects.ts'
import { shown } from './render-text.ts'
import { renderChecks, type Look } from './render-why.ts'
import { toYaml } from './render-yaml.ts'
import { table } from './table.ts'
import { lengthInWords } from './time-words.ts'

/** All that is known of one object. */
export interface Described {
  object: ReadObject
  events: readonly ReadObject[]
  /** Of a device: why it is not upgraded now. */
  why?: DeviceStatus
}

/** Shown in sections of their own. */
const apart = ['conditions', 'times', 'log']
const phases = Object.keys(transitions)
const finalPhases = ['Succeeded', 'Failed', 'Cancelled']

/** A page of text about one object: head, fields, conditions, and what its kind has besides. */
export function renderDescribe({ object, events, why }: Described, look: Look): string {
  const { spec, status = {} } = object
  const rest = Object.fromEntries(Object.entries(status).filter(([name]) => !apart.includes(name)))
  const sections = [
    head(object, look.nowMs),
    section('Spec', spec === undefined ? [] : yamlLines(spec)),
    section('Status', yamlLines(rest)),
    section('Conditions', conditionLines(status['conditions'], look.nowMs)),
    section('Phases', phaseLines(status, look.nowMs)),
    section(
      'Log',
      (Array.isArray(status['log']) ? status['log'] : []).map((line) => shown(textOf(line))),
    ),
    section('Why not now', why ? whyLines(why, look) : []),
    events.length === 0 ? ['Events: <none>'] : section('Events', eventLines(events, look.nowMs)),
  ]
  return sections
    .flat()
    .map((line) => `${line}\n`)
    .join('')
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`.trimEnd())]

function head({ kind = '', apiVersion = '', metadata }: ReadObject, nowMs: number): string[] {
  const {
    name,
    namespace,
    labels = {},
    annotations = {},
    creationTimestamp = '',
    deletionTimestamp,
  } = metadata
  const pairs = (map: Record<string, string>): string =>
    Object.entries(map)
      .map(([key, value]) => `${key}=${value}`)
      .join(', ') || '<none>'
  const fields: [string, string][] = [
    ['Name', name],
    ...(namespace === undefined ? [] : [['Namespace', namespace] as [string, string]]),
    ['Kind', `${kind} (${apiVersion})`],
    ['Labels', pairs(labels)],
    ['Annotations', pairs(annotations)],
    ['Created', `${creationTimestamp}${ageOf(creationTimestamp, nowMs, ' (', ' ago)')}`],
    ...(deletionTimestamp === undefined ? [] : [['Deleted', deletionTimestamp] as [string, string]]),
  ]
  return fields.map(([title, text]) => `${`${title}:`.padEnd(14)}${shown(text)}`)
}

const yamlLines = (value: Record<string, unknown>): string[] =>
  Object.keys(value).length === 0 ? [] : toYaml(value).trimEnd().split('\n')

function conditionLines(conditions: unknown, nowMs: number): string[] {
  const rows = (Array.isArray(conditions) ? conditions : [])
    .filter(isRecord)
    .map((condition) => [
      ...['type', 'status', 'reason'].map((field) => shown(textOf(condition[field]))),
      ageOf(textOf(condition['lastTransitionTime']), nowMs) || '<unknown>',
      shown(textOf(condition['message'])),
    ])
  return rows.length === 0 ? [] : table(['TYPE', 'STATUS', 'REASON', 'FOR', 'MESSAGE'], rows).split('\n')
}

/** The phases in the order in which they were entered, and how long each took; the current one is still counting. */
function phaseLines({ phase, times }: Record<string, unknown>, nowMs: number): string[] {
  if (!isRecord(times)) return []
  const entered = Object.entries(times)
    .map(([name, time]) => ({ name, time: textOf(time), ms: Date.parse(textOf(time)) }))
    .filter(({ ms }) => !Number.isNaN(ms))
    .toSorted((a, b) => a.ms - b.ms || phases.indexOf(a.name) - phases.indexOf(b.name))
  const rows = entered.map(({ name, time, ms }, at) => {
    const next = entered[at + 1]
    const isFinal = finalPhases.includes(name)
    const isCurrent = name === phase && !isFinal
    const took = isFinal ? '' : lengthInWords((isCurrent || !next ? nowMs : next.ms) - ms)
    return [shown(name), shown(time), isCurrent ? `${took} so far` : took]
  })
  return rows.length === 0 ? [] : table(['PHASE', 'ENTERED', 'TOOK'], rows).split('\n')
}

function whyLines(why: DeviceStatus, look: Look): string[] {
  if (why.onTarget) return ['on its target: there is nothing to do']
  return renderChecks(why.checks, look).map((line) => line.slice(2))
}

function eventLines(events: readonly ReadObject[], nowMs: number): string[] {
  const rows = events.map((event) => {
    const count = Number(event['count'] ?? 1)
    const age = ageOf(textOf(event['lastTimestamp']), nowMs)
    const since = count > 1 ? ` (x${count} over ${ageOf(textOf(event['firstTimestamp']), nowMs)})` : ''
    return [
      shown(textOf(event['type'])),
      shown(textOf(event['reason'])),
      `${age || '<unknown>'}${since}`,
      shown(textOf(event['message'])),
    ]
  })
  return table(['TYPE', 'REASON', 'AGE', 'MESSAGE'], rows).split('\n')
}

/** How long ago, as kubectl writes it; nothing for what is no time. */
function ageOf(time: string, nowMs: number, before = '', after = ''): string {
  const ms = Date.parse(time)
  return Number.isNaN(ms) ? '' : `${before}${formatDuration(nowMs - ms)}${after}`
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
