import { devicePaths } from '../upgraders/openwrt/scripts.ts'
import type { Machine } from './machine.ts'
import { describeRelease, traitsOf } from './release.ts'

/** Each stopped service gives back about this much. */
const serviceBytes = 2 * 2 ** 20

const usedBytes = ({ state }: Machine): number =>
  [...state.files.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

/** Room that is left in /tmp. */
export const tmpRoomBytes = (machine: Machine): number =>
  Math.max(0, machine.state.tmpBytes - usedBytes(machine))

const kibibytes = (bytes: number): number => Math.floor(Math.max(0, bytes) / 1024)

/** The parts `@meminfo` and `@tmp` of an answer. */
export const memoryOf = (machine: Machine): string => {
  const { state, faults } = machine
  const rescued = state.stoppedServices.length * serviceBytes
  const bytes = faults.take('LowMemory')?.availableBytes ?? state.memoryAvailableBytes - usedBytes(machine)
  const available = kibibytes(bytes + rescued)
  const free = Math.floor(available / 2)
  const buffers = Math.floor(available / 10)
  const hasAvailable = traitsOf(state.release).memAvailable && faults.take('NoMemAvailable') === undefined
  const tmp = kibibytes(state.tmpBytes)
  const room = kibibytes(tmpRoomBytes(machine))
  return [
    '@meminfo',
    `MemFree:         ${free} kB`,
    ...(hasAvailable ? [`MemAvailable:    ${available} kB`] : []),
    `Buffers:         ${buffers} kB`,
    `Cached:          ${available - free - buffers} kB`,
    '@tmp',
    'Filesystem           1K-blocks      Used Available Use% Mounted on',
    `tmpfs                    ${tmp}    ${tmp - room}    ${room}   1% /tmp`,
    '',
  ].join('\n')
}

/** What a hostile device adds to whatever people read: it moves cursors, sets titles, and is no UTF-8. */
const escapes = '\u001b[2J\u001b]0;owned\u0007\r\u0000\u00ff\u009b31m'

/** The answer to the probe script. */
export const probeOutput = (machine: Machine): string => {
  const { state, faults } = machine
  const { marker } = state
  const release = state.said ?? state.release
  const traits = traitsOf(release)
  const hostile = faults.take('ControlCharacters') === undefined ? '' : escapes
  const quote = traits.doubleQuotes ? '"' : "'"
  const variable = (name: string, value: string) => `DISTRIB_${name}=${quote}${value}${quote}`
  const leftovers = [
    ...(state.stoppedServices.length > 0 ? [devicePaths.stopped] : []),
    ...[devicePaths.part, devicePaths.image].filter((path) => state.files.has(path)),
  ]
  const uptime = machine.uptimeSeconds()
  return [
    '@release',
    variable('ID', release.distribution + hostile),
    variable('RELEASE', release.version + hostile),
    variable('REVISION', release.revision),
    variable('TARGET', `ath79/generic${hostile}`),
    variable('DESCRIPTION', describeRelease(release) + hostile),
    '',
    `@board\n${state.board}${hostile}\n`,
    `@model\n${state.model}${hostile}\n`,
    `@boot_id\n${state.bootId}\n`,
    `@uptime\n${uptime}.00 ${uptime}.00`,
    `${memoryOf(machine)}@compat`,
    ...(traits.compatVersion ? [state.compatVersion + hostile] : []),
    '',
    '@macs',
    ...state.macs,
    '@serial\n',
    '@marker',
    ...(marker === undefined ? [] : [`${marker.operation} ${marker.sha256} ${marker.bootId}`]),
    '',
    '@leftovers',
    ...leftovers,
    '@upgrading',
    ...(state.upgrading !== undefined || state.guards > 0 ? ['yes'] : []),
    '@end\n',
  ].join('\n')
}
