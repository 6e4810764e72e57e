import { mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSimulatedConnector } from '../../src/simulator/connector.ts'
import { createFleet } from '../../src/simulator/fleet.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import type { Router } from '../../src/simulator/router.ts'
import type { Connector } from '../../src/ports/connector.ts'
import { writeTo } from '../support/tree.ts'

/** Which file keeps the subject from being upgraded, as long as what it said last is in force. */
export type Restraint = 'policy' | 'device' | 'build' | 'image'

/** A directory in which all is well, of two devices that have nothing in common but their category. */
export interface GoodFleet extends AsyncDisposable {
  /** A folder around it all, for what a bad link may lead to. */
  outside: string
  directory: string
  state: string
  connector: Connector
  /** Is off its target, and would be upgraded if the restraint were gone. */
  subject: Router
  /** Is upgraded as soon as `releaseOther` is called. */
  other: Router
  write(path: string | Buffer, text: string | Uint8Array): Promise<void>
  /** Replaces a part of a file that is there exactly once. */
  edit(path: string, before: string, after: string): Promise<void>
  read(path: string): Promise<string>
  readBytes(path: string): Promise<Buffer>
  /** Called when it goes. */
  defer(cleanUp: () => void): void
  readBytes(path: string): Promise<Buffer>
  /** Called when it goes. */
  defer(cleanUp: () => void): void
  link(path: string, to: string): Promise<void>
  /** Takes the subject's restraint away, in the file where it stands. */
  release(): Promise<void>
  releaseOther(): Promise<void>
}

const restraints: Record<Restraint, [file: string, line: string]> = {
  policy: ['policy.yaml', '  state: Pause\n'],
  device: ['device.yaml', '  hold: {reason: not yet}\n'],
  build: ['build.yaml', '  lifecycle: Recalled\n  reason: not good\n'],
  image: ['image.yaml', "  boards: ['acme,nothing']\n"],
}
const otherHold = restraints.device[1]

const boards = { subject: 'acme,subject', other: 'acme,other' }
const quickTimings = { connectMs: 0, commandMs: 0, testMs: 0, shutdownMs: 10, flashMs: 10, rebootMs: 10 }

const head = (kind: string, name: string, more = ''): string =>
  `apiVersion: reflash.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: ${name}${more}}\nspec:\n`

/** Policy that would upgrade the subject at once, for what must not be read. */
export const greedyPolicy = `${head('UpgradePolicy', 'greedy')}  categoryRef: {name: ap}
  selector: {matchLabels: {role: subject}}
  priority: 900
  target: {buildRef: {name: subject}}
`

const buildText = (name: string): string => `${head('Build', name)}  categoryRef: {name: ap}
  version: "24.10.8"
  osIdentifier: OpenWrt 24.10.8 r29233-443ec4032a
`
const imageText = (name: string): string => `${head('FirmwareImage', name)}  buildRef: {name: ${name}}
  source: {path: images/${name}.bin}
`
const deviceText = (name: string, address: string): string =>
  `${head('Device', name, `, labels: {role: ${name}}`)}  categoryRef: {name: ap}
  addresses: [${address}]
  credentialsRef: {name: routers}
`
const policyText = (name: string): string => `${head('UpgradePolicy', name)}  categoryRef: {name: ap}
  selector: {matchLabels: {role: ${name}}}
  target: {buildRef: {name: ${name}}}
  limits: {maxConcurrent: 1}
`

const texts = (addresses: readonly { address: string }[]): Record<string, string> => ({
  'category.yaml': `${head('Category', 'ap')}  description: Access points\n`,
  'build.yaml': buildText('subject'),
  'image.yaml': imageText('subject'),
  'device.yaml': deviceText('subject', addresses[0]!.address),
  'policy.yaml': policyText('subject'),
  'other-build.yaml': buildText('other'),
  'other-image.yaml': imageText('other'),
  'other-device.yaml': deviceText('other', addresses[1]!.address) + otherHold,
  'other-policy.yaml': policyText('other'),
  'secret.yaml':
    'apiVersion: v1\nkind: Secret\nmetadata: {name: routers}\nstringData:\n  username: root\n  password: correct-horse\n',
})

export async function makeGoodFleet(restraint: Restraint): Promise<GoodFleet> {
  const fleet = createFleet({
    count: 2,
    seed: 'bad-inputs',
    clock: systemClock,
    models: Object.entries(boards).map(([model, board]) => ({ model, board })),
    releases: [knownReleases['23.05.5']],
    timings: quickTimings,
  })
  const outside = await realpath(await mkdtemp(join(tmpdir(), 'reflash-bad-')))
  const directory = join(outside, 'fleet')
  const stack = new AsyncDisposableStack()
  stack.defer(() => rm(outside, { recursive: true, force: true }))
  const write: GoodFleet['write'] = (path, text) =>
    typeof path === 'string'
      ? writeTo(directory, path, text)
      : writeFile(Buffer.concat([Buffer.from(`${directory}/`), path]), text)
  const read: GoodFleet['read'] = (path) => readFile(join(directory, path), 'utf8')
  const edit: GoodFleet['edit'] = async (path, before, after) => {
    const parts = (await read(path)).split(before)
    if (parts.length !== 2) throw new Error(`${path} has ${parts.length - 1} times ${JSON.stringify(before)}`)
    await write(path, parts.join(after))
  }
  for (const [path, text] of Object.entries(texts(fleet.addresses))) await write(path, text)
  for (const [path, bytes] of fleet.files)
    if (path.includes('24.10.8'))
      await write(path.endsWith('subject.bin') ? 'images/subject.bin' : 'images/other.bin', bytes)
  const [file, line] = restraints[restraint]
  await write(file, (await read(file)) + line)
  return {
    outside,
    directory,
    state: join(outside, 'state.db'),
    connector: createSimulatedConnector(systemClock, fleet.network),
    subject: fleet.routers[0]!,
    other: fleet.routers[1]!,
    write,
    edit,
    read,
    readBytes: (path) => readFile(join(directory, path)),
    defer: (cleanUp) => stack.defer(cleanUp),
    link: (path, to) => symlink(to, join(directory, path)),
    release: () => edit(file, line, ''),
    releaseOther: () => edit('other-device.yaml', otherHold, ''),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
