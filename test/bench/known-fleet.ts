import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { openDirectory } from '../../src/adapters/files/directory-source.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { openState } from '../../src/adapters/sqlite/state.ts'
import { Fleet, declareThrough } from '../../src/controllers/fleet.ts'
import { openGovernor } from '../../src/controllers/governor.ts'
import { lookOnce } from '../../src/controllers/look-once.ts'
import type { Ports } from '../../src/controllers/ports.ts'
import { createDirectorySync } from '../../src/controllers/sync-directory.ts'
import { createUploadGates } from '../../src/controllers/upload-gates.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { createFleet } from '../../src/simulator/fleet.ts'
import { createMemoryImages } from '../../src/simulator/images.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'

type Simulated = ReturnType<typeof createFleet>

/** Everything that a reconciler wants, over simulated routers that answer at once. */
export const portsOver = async (store: DeclaredStore, simulated: Simulated): Promise<Ports> => {
  const fleet = new Fleet(systemClock)
  const records = createMemoryRecords()
  return {
    store: declareThrough(store, fleet),
    fleet,
    records,
    secrets: { read: async () => simulated.secret },
    connector: createSimulatedConnector(systemClock, simulated.network),
    upgraders: new Map([[openwrtUpgrader.name, openwrtUpgrader]]),
    images: createMemoryImages(simulated.files),
    events: { emit: () => {} },
    clock: systemClock,
    random: Math.random,
    governor: await openGovernor({
      settings: { maxInFlight: 50, maxStartsPerMinute: 30, maxLostPerDay: 5 },
      records,
      brake: { halted: async () => undefined },
      clock: systemClock,
    }),
    uploads: createUploadGates(systemClock),
    settings: { probeIntervalMs: 15 * 60_000 },
  }
}

export interface KnownFleet {
  simulated: Simulated
  /** The manifests, one file for each device. */
  directory: string
  stateFile: string
}

/** A directory of manifests, and a state in which every device has just been probed. */
export const makeKnownFleet = async (folder: string, devices: number): Promise<KnownFleet> => {
  const simulated = createFleet({
    count: devices,
    seed: 'bench',
    clock: systemClock,
    timings: { connectMs: 0, commandMs: 0 },
  })
  const directory = join(folder, 'manifests')
  const stateFile = join(folder, 'state.db')
  await writeDirectory(simulated, directory)
  const revision = await openDirectory(directory, { clock: systemClock }).readOnce(
    new AbortController().signal,
  )
  const state = await openState(stateFile, { directory, clock: systemClock })
  try {
    const ports = await portsOver(state.resources, simulated)
    await createDirectorySync(declareThrough(state.resources, ports.fleet), ports.events).take(revision)
    await lookOnce(ports, { probe: true, concurrency: 64, signal: new AbortController().signal })
  } finally {
    await state.close()
  }
  return { simulated, directory, stateFile }
}

/** As an operator may have it in git: a file for each device. */
const writeDirectory = async (simulated: Simulated, directory: string): Promise<void> => {
  const devices = join(directory, 'devices')
  await simulated.writeManifests(directory)
  for (const file of await readdir(directory))
    if (file.startsWith('devices-')) await rm(join(directory, file))
  await mkdir(devices)
  for (const { written } of simulated.declared) {
    if (written.kind === 'Device')
      await writeFile(deviceFile(directory, written.metadata.name), `${JSON.stringify(written)}\n`)
  }
}

export const deviceFile = (directory: string, device: string): string =>
  join(directory, 'devices', `${device}.yaml`)
