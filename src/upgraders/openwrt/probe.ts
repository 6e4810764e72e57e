import { ReflashError } from '../../core/errors.ts'
import type { Probe } from '../../core/probe.ts'
import { readFrames, type Frames } from './answer.ts'

const maxFieldLength = 255
const maxIdentityLength = 1024
const kibibyte = 1024

/** Reads the answer of the probe script. @throws ReflashError `ProbeInvalid` naming the field that is missing or wrong. */
export function parseProbe(output: string): Probe {
  const frames = readFrames(output)
  const fields = releaseFields(frames)
  const release = {
    ...part('distribution', fields.get('DISTRIB_ID')),
    ...part('version', fields.get('DISTRIB_RELEASE')),
    ...part('revision', fields.get('DISTRIB_REVISION')),
    ...part('target', fields.get('DISTRIB_TARGET')),
  }
  return {
    osIdentifier: required('DISTRIB_DESCRIPTION in /etc/openwrt_release', fields.get('DISTRIB_DESCRIPTION')),
    release,
    board: required('/tmp/sysinfo/board_name', first(frames, 'board')),
    ...part('model', first(frames, 'model')),
    bootId: bootId(frames),
    uptimeSeconds: uptime(frames),
    ...part('compatVersion', compatVersion(frames)),
    identity: identity(frames),
    ...part('memoryAvailableBytes', memoryAvailable(frames)),
    ...part('tmpAvailableBytes', tmpAvailable(frames)),
    upgrading: first(frames, 'upgrading') === 'yes',
    leftovers: (frames.get('leftovers') ?? []).length > 0,
    ...part('lastFlash', marker(frames)),
  }
}

type Part<K extends string, V> = { [key in K]?: V }
const part = <K extends string, V>(key: K, value: V | undefined): Part<K, V> =>
  (value === undefined ? {} : { [key]: value }) as Part<K, V>

const first = (frames: Frames, name: string): string | undefined => {
  const line = frames.get(name)?.[0]
  return line === undefined || line === '' ? undefined : line.slice(0, maxFieldLength)
}

function required(what: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new ReflashError('ProbeInvalid', `the device has no ${what}`)
  return value.slice(0, maxFieldLength)
}

/** Shell assignments, in double quotes up to 14.07 and in single quotes since. */
function releaseFields(frames: Frames): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of frames.get('release') ?? []) {
    const match = /^([A-Z_]+)=(?:'([^']*)'|"([^"]*)"|([^'"\s]*))$/.exec(line)
    const value = match && (match[2] ?? match[3] ?? match[4] ?? '').trim().slice(0, maxFieldLength)
    if (match && value) fields.set(match[1]!, value)
  }
  return fields
}

function bootId(frames: Frames): string {
  const text = required('boot id', first(frames, 'boot_id'))
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) return text
  throw new ReflashError('ProbeInvalid', `the device's boot id is "${text}"`)
}

function uptime(frames: Frames): number {
  const text = first(frames, 'uptime') ?? ''
  const match = /^(\d{1,10})(?:\.\d+)?(?: |$)/.exec(text)
  if (!match) throw new ReflashError('ProbeInvalid', `the device's uptime is "${text}"`)
  return Number(match[1])
}

const compatVersion = (frames: Frames): string | undefined => {
  const text = first(frames, 'compat')
  return text !== undefined && /^\d{1,4}\.\d{1,4}$/.test(text) ? text : undefined
}

/** Universally given MAC addresses where there are any: those that software makes up may change. */
function identity(frames: Frames): string {
  const macs = (frames.get('macs') ?? [])
    .map((line) => line.toLowerCase())
    .filter((line) => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(line) && line !== '00:00:00:00:00:00')
  const universal = macs.filter((mac) => (Number.parseInt(mac.slice(0, 2), 16) & 2) === 0)
  const serial = first(frames, 'serial')?.replaceAll(/[^A-Za-z0-9._-]/g, '')
  const parts = [...new Set(universal.length > 0 ? universal : macs)].toSorted()
  if (serial) parts.push(`serial=${serial}`)
  if (parts.length === 0)
    throw new ReflashError('ProbeInvalid', 'the device shows no MAC address and no serial number')
  return parts.join(',').slice(0, maxIdentityLength)
}

/** Bytes that may be used; kernels before 3.14 do not say, so free memory and caches stand in. */
export function memoryAvailable(frames: Frames): number | undefined {
  const values = new Map<string, number>()
  for (const line of frames.get('meminfo') ?? []) {
    const match = /^(\w+):\s+(\d{1,12}) kB$/.exec(line)
    if (match) values.set(match[1]!, Number(match[2]) * kibibyte)
  }
  const free = values.get('MemFree')
  return (
    values.get('MemAvailable') ??
    (free === undefined ? undefined : free + (values.get('Buffers') ?? 0) + (values.get('Cached') ?? 0))
  )
}

/** Bytes free in /tmp, from `df -k`; a long device name breaks the line in two. */
export function tmpAvailable(frames: Frames): number | undefined {
  const lines = frames.get('tmp') ?? []
  const match = /\s(\d{1,12})\s+\d{1,3}%\s+\S+$/.exec(lines.slice(1).join(' '))
  return match ? Number(match[1]) * kibibyte : undefined
}

function marker(frames: Frames): Probe['lastFlash'] {
  const match = /^([a-z0-9][-a-z0-9.]{0,252}) ([0-9a-f]{64}) ([0-9a-f-]{36})$/.exec(
    // A name and two digests, which is longer than other fields are.
    frames.get('marker')?.[0] ?? '',
  )
  return match ? { operation: match[1]!, sha256: match[2]!, bootId: match[3]! } : undefined
}
