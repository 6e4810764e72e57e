import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { readState } from '../../src/adapters/sqlite/state.ts'
import type { AnyResource, Kind, KindMap } from '../../src/api/resources.ts'
import { createFleet, type Fleet, type FleetOptions } from '../../src/simulator/fleet.ts'
import { freeAddresses } from '../../src/simulator/free-addresses.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import type { Router } from '../../src/simulator/router.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import { ended, startReflash, type CliResult } from './cli.ts'
import { writeTo } from './tree.ts'

/** What an operator writes, before it becomes text. */
interface Written {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: Record<string, string> }
  spec: Record<string, unknown>
}

/** Simulated routers behind real SSH, and the directory that declares them: one file for each device. */
export interface ServedFleet {
  routers: readonly Router[]
  addresses: Fleet['addresses']
  folder: string
  directory: string
  state: string
  /** The arguments that every command about this fleet needs. */
  flags: readonly string[]
  run(...flags: string[]): Promise<CliResult>
  plan(...flags: string[]): Promise<CliResult>
  /** Writes a file of the directory. */
  write(path: string, text: string | Uint8Array): Promise<void>
  /** Writes a Device again, changed. */
  writeDevice(index: number, spec?: Record<string, unknown>): Promise<void>
  /** What the state file holds. */
  stored<K extends Kind>(kind: K): Promise<(AnyResource & { kind: K; status: KindMap[K]['status'] })[]>
  stop(): Promise<void>
}

const quickTimings = {
  connectMs: 0,
  commandMs: 0,
  testMs: 10,
  shutdownMs: 50,
  flashMs: 100,
  rebootMs: 300,
}

export async function startServedFleet(
  options: Partial<FleetOptions> & { count: number },
): Promise<ServedFleet> {
  const addresses = await freeAddresses(options.count)
  const fleet = createFleet({
    seed: 'cli',
    releases: [knownReleases['23.05.5']],
    clock: systemClock,
    addressOf: (index) => addresses[index]!,
    timings: quickTimings,
    ...options,
    policy: { limits: { maxConcurrent: 50, startsPerMinute: 10_000 }, ...options.policy },
  })
  const served = await serveFleet(fleet)
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'reflash-cli-')))
  const directory = join(folder, 'fleet')
  const state = join(folder, 'state.db')
  const write = (path: string, text: string | Uint8Array): Promise<void> => writeTo(directory, path, text)
  const written = fleet.declared.map((declared) => declared.written as unknown as Written)
  const devices = written.filter(({ kind }) => kind === 'Device')
  const writeDevice = (index: number, spec: Record<string, unknown> = {}): Promise<void> => {
    const device = devices[index]!
    return write(
      `devices/${device.metadata.name}.yaml`,
      documentText({ ...device, spec: { ...device.spec, ...spec } }),
    )
  }
  for (const [path, bytes] of fleet.files) await write(path, bytes)
  for (const object of written) {
    // Images lie beside their files.
    const folderOfKind = { Device: 'devices/', FirmwareImage: '' }[object.kind] ?? `settings/${object.kind}-`
    await write(`${folderOfKind}${object.metadata.name}.yaml`, documentText(object))
  }
  await write('secret.yaml', secretText('routers', fleet.secret))
  const flags = [directory, '--state', state, '--max-starts-per-minute', '10000']
  return {
    routers: fleet.routers,
    addresses,
    folder,
    directory,
    state,
    flags,
    run: (...more) => ended(startReflash(['run', ...flags, ...more])),
    plan: (...more) => ended(startReflash(['plan', ...flags, ...more])),
    write,
    writeDevice,
    stored: async (kind) =>
      (await readState(state)).resources.filter((object) => object.kind === kind) as never,
    stop: async () => {
      await served.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A fleet that goes when the test ends. */
export async function makeServedFleet(
  options: Partial<FleetOptions> & { count: number },
): Promise<ServedFleet> {
  const fleet = await startServedFleet(options)
  onTestFinished(() => fleet.stop())
  return fleet
}

/** One field a line, as people write it; its values are JSON, which is YAML. */
function documentText({ apiVersion, kind, metadata, spec }: Written): string {
  const fields = Object.entries(spec).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}\n`)
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: ${JSON.stringify(metadata)}\nspec:\n${fields.join('')}`
}

export const secretText = (name: string, data: Readonly<Record<string, string>>): string =>
  `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\nstringData: ${JSON.stringify(data)}\n`

/** The lines of a JSON log, and beside them what was said in words. */
export function readLog(stderr: string): { events: Record<string, unknown>[]; words: string[] } {
  const lines = stderr.split('\n').filter((line) => line !== '')
  const isEvent = (line: string): boolean => line.startsWith('{')
  return {
    events: lines.filter(isEvent).map((line) => JSON.parse(line) as Record<string, unknown>),
    words: lines.filter((line) => !isEvent(line)),
  }
}

export const textOf = (path: string): Promise<string> => readFile(path, 'latin1')
