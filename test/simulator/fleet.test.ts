import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { Manifest } from '../../src/api/resources.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { createFleet } from '../../src/simulator/fleet.ts'
import { hashHistories } from '../../src/simulator/history.ts'
import { createMemoryImages } from '../../src/simulator/images.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'

const folders: string[] = []
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

const quiet = new AbortController().signal

it('declares what it simulates', async () => {
  const clock = createManualClock()
  const fleet = createFleet({ count: 25, seed: 1, clock })
  const manifests = fleet.declared.map(({ manifest }): Manifest => manifest)
  const count = (kind: string) => manifests.filter((manifest) => manifest.kind === kind).length
  expect([count('Category'), count('UpgradePolicy'), count('Device')]).toEqual([1, 1, 25])
  expect(count('FirmwareImage')).toBe(count('Build') * 3)
  expect(fleet.files.size).toBe(count('FirmwareImage'))
  expect(manifests.find(({ kind }) => kind === 'UpgradePolicy')).toMatchObject({
    metadata: { namespace: 'default' },
    spec: { limits: { maxConcurrent: 10 }, timeouts: { reboot: '15m' }, state: 'Run', retryToken: '' },
  })

  const connector = createSimulatedConnector(clock, fleet.network)
  const images = createMemoryImages(fleet.files)
  for (const [index, router] of fleet.routers.entries()) {
    const device = manifests.find(({ kind, metadata }) => kind === 'Device' && metadata.name === router.name)
    expect(device).toMatchObject({ spec: { addresses: [fleet.addresses[index]?.address], port: 22 } })
    const knocked = connector.knock(
      { addresses: [fleet.addresses[index]?.address ?? ''], port: 22 },
      1000,
      quiet,
    )
    await clock.advance(1000)
    expect(await knocked).toBe(true)
  }
  const boards = new Set(fleet.routers.map(({ state }) => state.board))
  for (const path of fleet.files.keys()) {
    const { metadata } = await images.fetch({ path }, quiet)
    expect(boards).toContain(metadata?.boards[0])
  }
})

it('writes its manifests as an operator has them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-fleet-'))
  folders.push(folder)
  const fleet = createFleet({
    count: 1001,
    seed: 1,
    clock: createManualClock(),
    releases: [knownReleases['15.05.1']],
  })
  await fleet.writeManifests(folder)
  expect((await readdir(folder)).toSorted()).toEqual([
    'devices-0.yaml',
    'devices-1.yaml',
    'firmware.yaml',
    'images',
    'secret.yaml',
  ])
  const text = await readFile(join(folder, 'devices-1.yaml'), 'utf8')
  expect(JSON.parse(text)).toEqual({
    apiVersion: 'reflash.dev/v1alpha1',
    kind: 'Device',
    metadata: { name: 'ap-1001', labels: { site: 'site-100' } },
    spec: {
      categoryRef: { name: 'access-points' },
      addresses: ['10.0.4.1'],
      port: 22,
      credentialsRef: { name: 'routers' },
      legacyAlgorithms: true,
    },
  })
  expect(await readdir(join(folder, 'images'))).toHaveLength(fleet.files.size)
})

it('is the same for the same seed', async () => {
  const histories = async (seed: number) => {
    const clock = createManualClock()
    const fleet = createFleet({ count: 200, seed, clock, faults: { share: 0.5 } })
    await clock.advance(3_600_000)
    return hashHistories(fleet.routers.map(({ history }) => history))
  }
  expect(await histories(3)).toBe(await histories(3))
  expect(await histories(3)).not.toBe(await histories(4))
})

it('answers over real SSH, many routers in one process', { timeout: 60_000 }, async () => {
  const timings = { connectMs: 0, commandMs: 0 }
  const fleet = createFleet({
    count: 100,
    seed: 1,
    clock: systemClock,
    timings,
    addressOf: (index) => ({ address: `127.20.0.${index + 1}`, port: 20022 }),
  })
  const served = await serveFleet(fleet)
  try {
    await expect(serveFleet(fleet)).rejects.toMatchObject({ code: 'Unreachable' })
    const connector = createSshConnector({ clock: systemClock })
    for (const { address, port } of fleet.addresses) {
      const target = {
        addresses: [address],
        port,
        credentials: { username: 'root', ...fleet.secret },
        hostKeys: [],
        acceptNewHostKeys: true,
        urgent: false,
        legacyAlgorithms: false,
      }
      const session = await connector.connect(target, 10_000, quiet)
      expect(await session.exec(['echo', address], { deadlineMs: 5000 }, quiet)).toMatchObject({ code: 0 })
      await session.close()
    }
  } finally {
    await served.close()
  }
  expect(fleet.routers.every(({ history }) => history.some(({ type }) => type === 'Connected'))).toBe(true)
})
