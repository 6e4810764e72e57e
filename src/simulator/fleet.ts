import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { SeededRandom } from '../adapters/clock/random.ts'
import { createRandom } from '../adapters/clock/random.ts'
import type { UpgradePolicySpec } from '../api/resources.ts'
import type { Clock } from '../ports/clock.ts'
import type { Network } from './connector.ts'
import { drawFault, faultKinds, type FaultKind } from './faults.ts'
import { makeFirmware } from './firmware.ts'
import type { Timings } from './machine.ts'
import { declare, type Declared } from './manifest.ts'
import { describeRelease, knownReleases, traitsOf, type Release } from './release.ts'
import { createRouter, type Router } from './router.ts'

export interface Model {
  /** Board name, as images list it. */
  board: string
  /** For people. */
  model: string
}

export interface FleetOptions {
  count: number
  seed: number | string
  clock: Clock
  /** Dealt out in turn. */
  models?: readonly Model[]
  /** What the routers run at first, dealt out at random. Default: 23.05.5 and 24.10.0. */
  releases?: readonly Release[]
  /** What the policy is to bring them to. Default: 24.10.8. */
  target?: Release
  timings?: Partial<Timings>
  /** Of each router, while nothing of ours lies there; default 90 MiB. */
  memoryAvailableBytes?: number
  /** Payload of each image; default 32 KiB. */
  imageBytes?: number
  /** A share of the routers, 0 to 1, gets one fault each, of these kinds (default: all). */
  faults?: { share: number; kinds?: readonly FaultKind[] }
  /** Where router number `index`, from 0, answers. Default: 10.x.y.z, port 22. */
  addressOf?: (index: number) => { address: string; port: number }
  /** What the policy says beside category and target. */
  policy?: Partial<UpgradePolicySpec>
}

export interface Fleet {
  routers: readonly Router[]
  /** Finds a router by its address. */
  network: Network
  /** Where each router answers, in the order of `routers`. */
  addresses: readonly { address: string; port: number }[]
  /** Category, builds, images, devices and the policy; the devices are named as their routers. */
  declared: readonly Declared[]
  /** Entries of the Secret `routers`. */
  secret: Readonly<Record<string, string>>
  /** Image files by the path that the images declare. */
  files: ReadonlyMap<string, Buffer>
  /** Writes it all into a folder, as an operator would have it in git. */
  writeManifests(folder: string): Promise<void>
}

const defaultModels: readonly Model[] = [
  { board: 'tplink,archer-c7-v5', model: 'TP-Link Archer C7 v5' },
  { board: 'ubnt,unifiac-lite', model: 'Ubiquiti UniFi AC Lite' },
  { board: 'glinet,gl-mt300n-v2', model: 'GL.iNet GL-MT300N-V2' },
]

const category = 'access-points'
const secretName = 'routers'
const devicesPerFile = 1000

/** 250 a net, so that none is a network or broadcast address. */
const privateAddress = (index: number) => {
  const net = Math.floor(index / 250)
  return { address: `10.${Math.floor(net / 250)}.${net % 250}.${(index % 250) + 1}`, port: 22 }
}

const buildName = ({ version }: Release): string => `${category}-${version.toLowerCase()}`

const imagePath = (build: string, board: string): string =>
  `images/${build}-${board.replaceAll(/[^a-z0-9.-]/g, '-')}.bin`

/** Builds with one image for each model. */
const declareBuilds = (releases: readonly Release[], models: readonly Model[], sizeBytes: number) => {
  const declared: Declared[] = []
  const files = new Map<string, Buffer>()
  for (const release of releases) {
    const build = buildName(release)
    declared.push(
      declare('Build', build, {
        categoryRef: { name: category },
        version: release.version,
        osIdentifier: describeRelease(release),
      }),
    )
    for (const { board } of models) {
      const path = imagePath(build, board)
      files.set(path, makeFirmware({ ...release, boards: [board], sizeBytes }))
      const name = path.slice('images/'.length, -'.bin'.length)
      declared.push(declare('FirmwareImage', name, { buildRef: { name: build }, source: { path } }))
    }
  }
  return { declared, files }
}

const declareDevice = (router: Router, at: { address: string; port: number }, index: number): Declared =>
  declare(
    'Device',
    router.name,
    {
      categoryRef: { name: category },
      addresses: [at.address],
      port: at.port,
      credentialsRef: { name: secretName },
      ...(traitsOf(router.state.release).legacyOnly && { legacyAlgorithms: true }),
    },
    { site: `site-${Math.floor(index / 10)}` },
  )

const declarePolicy = (target: Release, policy: Partial<UpgradePolicySpec> = {}): Declared =>
  declare('UpgradePolicy', category, {
    categoryRef: { name: category },
    target: { buildRef: { name: buildName(target) } },
    ...policy,
  })

const createRouters = (options: FleetOptions, random: SeededRandom, models: readonly Model[]): Router[] => {
  const releases = options.releases ?? [knownReleases['23.05.5'], knownReleases['24.10.0']]
  const width = Math.max(3, String(options.count).length)
  return Array.from({ length: options.count }, (_, index) => {
    const name = `ap-${String(index + 1).padStart(width, '0')}`
    const own = random.fork(name)
    const router = createRouter({
      name,
      clock: options.clock,
      random: own,
      release: own.pick(releases),
      ...models[index % models.length],
      ...(options.timings && { timings: options.timings }),
      ...(options.memoryAvailableBytes !== undefined && {
        memoryAvailableBytes: options.memoryAvailableBytes,
      }),
    })
    const { share = 0, kinds = faultKinds } = options.faults ?? {}
    if (own.chance(share)) router.inject(drawFault(own.pick(kinds), own))
    return router
  })
}

/** Routers, and everything that an operator would declare to bring them to the target. The same seed, the same fleet. */
export const createFleet = (options: FleetOptions): Fleet => {
  const { models = defaultModels, target = knownReleases['24.10.8'], imageBytes = 32 * 1024 } = options
  const routers = createRouters(options, createRandom(options.seed), models)
  const addresses = routers.map((_, index) => (options.addressOf ?? privateAddress)(index))
  const byAddress = new Map(
    addresses.map(({ address, port }, index) => [`${address}:${port}`, routers[index]!]),
  )
  const releases = new Map(
    [...routers.map(({ state }) => state.release), target].map((release) => [release.version, release]),
  )
  const builds = declareBuilds([...releases.values()], models, imageBytes)
  const secret = { username: 'root', password: 'correct-horse' }
  const devices = routers.map((router, index) => declareDevice(router, addresses[index]!, index))
  const settings = [
    declare('Category', category, { description: 'Access points, simulated' }),
    ...builds.declared,
    declarePolicy(target, options.policy),
  ]
  return {
    routers,
    network: (address, port) => byAddress.get(`${address}:${port}`),
    addresses,
    declared: [...settings, ...devices],
    secret,
    files: builds.files,
    writeManifests: async (folder) => {
      const texts = new Map<string, string | Buffer>(builds.files)
      texts.set('firmware.yaml', documents(settings.map(({ written }) => written)))
      texts.set(
        'secret.yaml',
        documents([{ apiVersion: 'v1', kind: 'Secret', metadata: { name: secretName }, stringData: secret }]),
      )
      for (let at = 0; at < devices.length; at += devicesPerFile) {
        const part = devices.slice(at, at + devicesPerFile).map(({ written }) => written)
        texts.set(`devices-${at / devicesPerFile}.yaml`, documents(part))
      }
      for (const [path, text] of texts) {
        await mkdir(dirname(join(folder, path)), { recursive: true })
        await writeFile(join(folder, path), text)
      }
    },
  }
}

/** JSON is YAML. */
const documents = (objects: readonly unknown[]): string =>
  objects.map((object) => `${JSON.stringify(object)}\n`).join('---\n')
