import type { Device, UpgradeOperation } from '../api/resources.ts'
import { formatDuration } from '../core/duration.ts'
import { isSameIdentity } from '../core/identity.ts'
import type { Probe, StartResult } from '../core/probe.ts'
import { toMs, toTime } from '../core/time.ts'
import { isRelease } from '../core/verdict.ts'
import { printable } from '../core/printable.ts'
import type { OperationRun } from './operation-run.ts'
import type { Ports } from './ports.ts'

/** How often the live log says that a device is silent. */
const silenceStepMs = 30_000
const maxLineLength = 1024

/** Adds one line to the live log of an operation; what a device said in it is made safe to print. */
export const say = (line: string, run: Pick<OperationRun, 'key'>, { events }: Pick<Ports, 'events'>): void =>
  events.emit({ type: 'Log', operation: run.key, line: printable(line, maxLineLength) })

export function connectingWords({ spec }: Device): string {
  const { addresses, port, jumpHost } = spec
  return `connecting to ${addresses.join(', ')} port ${port}${jumpHost ? ` through ${jumpHost.address}` : ''}`
}

export const factWords = ({ osIdentifier, board, uptimeSeconds }: Probe): string =>
  `the device runs ${osIdentifier} on ${board}, up ${formatDuration(uptimeSeconds * 1000)}`

export function startWords(result: StartResult): string {
  switch (result.kind) {
    case 'Started':
      return 'the device has compared everything once more and started the flash'
    case 'Unknown':
      return `no answer to the start: ${result.message}`
    case 'Refused':
      return `the device refuses to start: ${result.message}`
  }
}

/** Changes once in a while, so that a silent device does not look forgotten. */
export function silenceWords({ status }: UpgradeOperation, rebootMs: number, now: number): string {
  const since = status.times?.Flashing === undefined ? now : toMs(status.times.Flashing)
  const silentMs = Math.floor(Math.max(0, now - since) / silenceStepMs) * silenceStepMs
  const time = silentMs === 0 ? 'silent' : `silent, ${formatDuration(silentMs)} after the start`
  return now - since < rebootMs
    ? `${time}: on purpose while it writes and reboots; expected back by ${toTime(since + rebootMs)}`
    : `${time}: it was expected back by ${toTime(since + rebootMs)}`
}

/** The three facts that a verdict is made of: boot, release and identity. */
export function evidenceWords(
  probe: Probe,
  { status }: UpgradeOperation,
  identity: string | undefined,
): string {
  if (probe.bootId === status.bootIdBefore)
    return 'the device answers, still in the boot from before the start'
  const release = isRelease(probe, status.to ?? {}) ? 'the target' : 'not the target'
  const same = identity === undefined || isSameIdentity(probe.identity, identity)
  return `the device answers in a new boot; it runs ${probe.osIdentifier}, ${release}; it is ${same ? 'the same' : 'another'} device`
}
