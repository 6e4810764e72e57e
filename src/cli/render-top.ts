import type { FleetStatus } from '../api/status-api.ts'
import type { ReadObject } from './api-objects.ts'
import { isRecord } from './api-objects.ts'
import type { Paint } from './paint.ts'
import { shown } from './render-text.ts'
import { table } from './table.ts'
import { lengthInWords } from './time-words.ts'

export interface TopView {
  status: FleetStatus
  /** Operations in flight, or some of them. */
  operations: readonly ReadObject[]
  nowMs: number
}

const maxReasons = 6

/** The fleet in a screenful: totals, policies, why devices wait, and what is in flight. */
export function renderTop({ status, operations, nowMs }: TopView, paint: Paint): string[] {
  return [
    ...totals(status, paint),
    '',
    ...policyLines(status),
    ...reasonLines(status),
    ...operationLines(status, operations, nowMs),
  ]
}

function totals({ devices, operations, governor }: FleetStatus, paint: Paint): string[] {
  const upToDate = devices.upToDate['True'] ?? 0
  const silent = devices.reachable['False'] ?? 0
  const lines = [
    `${devices.total} ${devices.total === 1 ? 'device' : 'devices'}: ${upToDate} up to date, ${silent} not reachable, ${operations.inFlight} upgrading (of ${governor.maxInFlight} at once)`,
  ]
  if (governor.stop) {
    const { reason, message } = governor.stop
    lines.push(paint('red', `✗ stopped: ${shown(reason)}: ${shown(message)}`))
  }
  return lines
}

function policyLines({ policies }: FleetStatus): string[] {
  const isOneNamespace = new Set(policies.map(({ namespace }) => namespace)).size <= 1
  const rows = policies.map(({ namespace, name, target, state, phase, counts }) => {
    const of = (count: number | undefined): string => String(count ?? 0)
    return [
      isOneNamespace ? shown(name) : `${shown(namespace)}/${shown(name)}`,
      shown(target),
      shown(phase ?? state),
      `${of(counts.onTarget)}/${of(counts.matched)}`,
      of(counts.inFlight),
      of(counts.queued),
      of(counts.failed),
      of(counts.offline),
    ]
  })
  return table(
    ['POLICY', 'TARGET', 'PHASE', 'DONE', 'IN FLIGHT', 'WAITING', 'FAILED', 'OFFLINE'],
    rows,
  ).split('\n')
}

function reasonLines({ devices }: FleetStatus): string[] {
  const reasons = Object.entries(devices.blocked).filter(([, count]) => count > 0)
  if (reasons.length === 0) return []
  const sorted = reasons.toSorted(([, a], [, b]) => b - a)
  const rows = sorted.slice(0, maxReasons).map(([reason, count]) => [shown(reason), String(count)])
  const more = sorted.length - rows.length
  return ['', ...table(['WHY NOT NOW', 'DEVICES'], rows).split('\n'), ...(more > 0 ? [`… ${more} more`] : [])]
}

function operationLines(
  { operations }: FleetStatus,
  objects: readonly ReadObject[],
  nowMs: number,
): string[] {
  if (objects.length === 0) return []
  const rows = objects.map(({ spec = {}, status = {} }) => {
    const phase = textOf(status['phase']) || 'Queued'
    const device = isRecord(spec['deviceRef']) ? textOf(spec['deviceRef']['name']) : ''
    const times = isRecord(status['times']) ? status['times'] : {}
    const since = Date.parse(textOf(times[phase]))
    const progress = isRecord(status['progress']) ? status['progress']['percent'] : undefined
    const percent = phase === 'Uploading' && typeof progress === 'number' ? `${progress} %` : ''
    const length = Number.isNaN(since) ? '' : lengthInWords(nowMs - since)
    return [device, phase, length, percent, textOf(status['message'])].map(shown)
  })
  const more = operations.inFlight - rows.length
  return [
    '',
    ...table(['DEVICE', 'PHASE', 'FOR', '', 'MESSAGE'], rows).split('\n'),
    ...(more > 0 ? [`… ${more} more`] : []),
  ]
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
