import type { Fleet } from '../controllers/fleet.ts'
import { keyOf, keyString } from '../core/keys.ts'
import type { EventSink, FleetEvent } from '../ports/event-sink.ts'
import type { CliStream } from './context.ts'
import { table } from './table.ts'

const redrawMs = 200
const maxOperations = 15
const maxLines = 8

/** The fleet as it moves, redrawn in place on a terminal: policies, what is in flight, and the last words. */
export interface FleetView {
  events: EventSink
  /** Says which fleet to show, once it exists. */
  watch: (fleet: Fleet) => void
  /** Draws the last state and leaves it on the screen. */
  close: () => void
}

export function createFleetView(stream: CliStream): FleetView {
  const lines: string[] = []
  const percent = new Map<string, number>()
  let fleet: Fleet | undefined
  let drawn = 0
  let timer: NodeJS.Timeout | undefined

  const draw = (): void => {
    if (!fleet) return
    const width = Math.max(40, stream.columns ?? 100)
    const text = [...policyLines(fleet), '', ...operationLines(fleet, percent), '', ...lines]
      .slice(0, (stream.rows ?? 50) - 2)
      .map((line) => line.slice(0, width - 1))
    stream.write(`${drawn > 0 ? `\u001b[${drawn}A` : ''}\u001b[J${text.join('\n')}\n`)
    drawn = text.length
  }

  return {
    events: {
      emit(event) {
        if (event.type === 'Progress') percent.set(keyString(event.operation), event.percent)
        const line = lineOf(event)
        if (line === undefined) return
        lines.push(line)
        if (lines.length > maxLines) lines.shift()
      },
    },
    watch(next) {
      fleet = next
      timer = setInterval(draw, redrawMs)
    },
    close() {
      clearInterval(timer)
      draw()
    },
  }
}

function policyLines(fleet: Fleet): string[] {
  const rows = [...fleet.all('UpgradePolicy')].map((policy) => {
    const counts = fleet.counts(keyString(keyOf(policy)))
    const of = (name: Parameters<typeof counts.get>[0]): string => String(counts.get(name) ?? 0)
    return [
      policy.metadata.name,
      policy.spec.target.buildRef.name,
      `${of('onTarget')}/${of('matched')}`,
      of('inFlight'),
      of('queued'),
      of('failed'),
      of('offline'),
    ]
  })
  return table(['POLICY', 'TARGET', 'DONE', 'IN FLIGHT', 'WAITING', 'FAILED', 'OFFLINE'], rows).split('\n')
}

function operationLines(fleet: Fleet, percent: ReadonlyMap<string, number>): string[] {
  const operations = [...fleet.unfinished()].filter(
    ({ status }) => status.phase !== undefined && status.phase !== 'Queued',
  )
  const rows = operations.slice(0, maxOperations).map((operation) => {
    const { phase = 'Queued' } = operation.status
    const done = phase === 'Uploading' ? `${percent.get(keyString(keyOf(operation))) ?? 0} %` : ''
    return [operation.spec.deviceRef.name, phase, done, operation.status.message ?? '']
  })
  const more = operations.length - rows.length
  return [
    ...table(['DEVICE', 'PHASE', '', 'MESSAGE'], rows).split('\n'),
    ...(more > 0 ? [`… ${more} more`] : []),
  ]
}

function lineOf(event: FleetEvent): string | undefined {
  switch (event.type) {
    case 'Phase':
      return ['Succeeded', 'Failed', 'Cancelled'].includes(event.phase)
        ? `${event.device.name}: ${event.phase}: ${event.message}`
        : undefined
    case 'Info':
      // What went well with one object shows in the tables.
      return event.object ? undefined : `${event.reason}: ${event.message}`
    case 'Warning':
      return `${event.reason}: ${event.message}`
    case 'Bug':
      return `internal error in ${event.controller} (${event.key}): ${String(event.error)}`
    case 'Log':
    case 'Progress':
      return undefined
  }
}
