/** Every command of the runbooks is run here, in the trouble that it is for, and prints what the page says. */
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, test } from 'vitest'
import { readState } from '../../src/adapters/sqlite/state.ts'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import { isFinished } from '../../src/core/operation.ts'
import type { FleetOptions } from '../../src/simulator/fleet.ts'
import { exampleFleetOf } from '../support/example-fleet.ts'
import { routerPrograms, startRouter, type NamespaceRouter } from '../support/namespace-router.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { requires } from '../support/requires.ts'
import { makeServedFleet, type ServedFleet } from '../support/served-fleet.ts'
import { readTranscripts } from '../support/transcripts.ts'
import { makeTree, writeTo } from '../support/tree.ts'
import { until } from '../support/until.ts'
import { placed, play, type Service } from './play-page.ts'

const page = 'docs/runbooks.md'
const hourMs = 3_600_000
const slowReboot = {
  connectMs: 0,
  commandMs: 0,
  testMs: 10,
  shutdownMs: 50,
  flashMs: 100,
  rebootMs: hourMs,
}
const oneAtOnce = { limits: { maxConcurrent: 1, startsPerMinute: 1000 } }

const threeRouters = (options: Partial<FleetOptions> = {}): Promise<ServedFleet> =>
  makeServedFleet({ count: 3, seed: 'demo', ...options })

async function serviceOf(fleet: ServedFleet): Promise<Service> {
  const bin = join(fleet.folder, 'bin')
  const backups = join(fleet.folder, 'backups')
  for (const folder of [bin, backups]) await mkdir(folder)
  return {
    bin,
    places: { '/var/lib/reflash': fleet.folder, '/srv/fleet': fleet.directory, '/var/backups': backups },
    flags: fleet.flags,
    isRunning: true,
  }
}

const starts = (fleet: ServedFleet): number[] =>
  fleet.routers.map(({ history }) => history.filter(({ type }) => type === 'FlashStarted').length)

const allEnded = (fleet: ServedFleet): Promise<unknown> =>
  until(
    'every operation has ended',
    async () => {
      const operations = await fleet.stored('UpgradeOperation')
      return operations.length === fleet.routers.length && operations.every(isFinished)
    },
    30_000,
  )

const someOperation = (fleet: ServedFleet, what: 'phase' | 'failureClass', value: string): Promise<unknown> =>
  until(value, async () => {
    const operations = await fleet.stored('UpgradeOperation')
    return operations.some(({ status }) => status[what] === value)
  })

const allPinned = (state: string, count: number): Promise<unknown> =>
  until('every host key is pinned', async () => {
    const { resources } = await readState(state)
    const pinned = resources.filter((object) => object.kind === 'Device' && object.status.hostKeys?.length)
    return pinned.length === count
  })

test('stop everything now', async () => {
  const fleet = await threeRouters({ timings: slowReboot, policy: oneAtOnce })
  // Whoever answers first has the slot: the last one.
  for (const router of fleet.routers.slice(0, 2))
    router.inject({ kind: 'LateDelivery', command: 'probe', ms: 2000 })
  await play(readTranscripts(page, 'Stop everything now'), await serviceOf(fleet), {
    'touch /var/lib/reflash/state.db.HALT': () => someOperation(fleet, 'phase', 'Rebooting'),
  })
  expect(starts(fleet)).toEqual([0, 0, 1])
})

requires('sqlite3')('an old backup', () => {
  test('of the state was put back', { timeout: 120_000 }, async () => {
    const fleet = await threeRouters()
    fleet.routers[1]!.inject({ kind: 'RolledBack' })
    await play(readTranscripts(page, 'An old backup of the state was put back'), await serviceOf(fleet), {
      'systemctl stop reflash': () => allEnded(fleet),
    })
    expect(starts(fleet)).toEqual([1, 1, 1])
  })
})

test('the state file is damaged', { timeout: 120_000 }, async () => {
  const fleet = await threeRouters()
  const upgraded = await fleet.run('--once')
  expect(upgraded.code, upgraded.stderr).toBe(0)
  // A row that decides a flash, by another program than the one that wrote it.
  const database = new DatabaseSync(fleet.state)
  database.exec(`UPDATE resources SET json = replace(json, '"Succeeded"', '"Queued"')`)
  database.close()
  await play(readTranscripts(page, 'The state file is damaged'), {
    ...(await serviceOf(fleet)),
    isRunning: false,
  })
  expect(starts(fleet)).toEqual([1, 1, 1])
})

test('a router does not come back', { timeout: 120_000 }, async () => {
  const fleet = await threeRouters({
    policy: { timeouts: { ...defaultPolicySettings.timeouts, reboot: '5s' } },
  })
  fleet.routers[1]!.inject({ kind: 'NoReturn' })
  const transcripts = readTranscripts(page, 'A router does not come back')
  await play(transcripts, await serviceOf(fleet), {
    [transcripts[0]!.command]: () => someOperation(fleet, 'failureClass', 'Lost'),
  })
})

test('the host key of a router has changed', async () => {
  const fleet = await threeRouters({ timings: slowReboot, policy: oneAtOnce })
  // Whoever answers first has the slot: this one does not.
  fleet.routers[1]!.inject({ kind: 'LateDelivery', command: 'probe', ms: 2000 })
  const transcripts = readTranscripts(page, 'The host key of a router has changed')
  const service = await serviceOf(fleet)
  const flags = [...service.flags, '--probe-interval', '10s']
  await play(
    transcripts,
    { ...service, flags },
    {
      [transcripts[0]!.command]: async () => {
        // Another one has the slot by then: a probe finds it out, and no upgrade.
        await someOperation(fleet, 'phase', 'Rebooting')
        await allPinned(fleet.state, 3)
        const router = fleet.routers[1]!
        router.inject({ kind: 'OtherDevice', board: router.state.board })
      },
    },
  )
})

/** The block of the page that is a script. */
async function scriptOf(section: string): Promise<string> {
  const text = await readFile(new URL(`../../${page}`, import.meta.url), 'utf8')
  return /^```sh\n(#!\/bin\/sh\n.*?)^```$/ms.exec(text.slice(text.indexOf(`## ${section}`)))![1]!
}

const sshKey = async (file: string, comment: string): Promise<string> => {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file])
  return (await readFile(`${file}.pub`, 'utf8')).trim()
}

const release = knownReleases['24.10.8']
/** Where OpenWrt has the keys of root. */
const keysFile = 'etc/dropbear/authorized_keys'

async function startRouterWith(key: string): Promise<NamespaceRouter> {
  const router = await startRouter({ release, authorizedKeys: [key] })
  await rename(join(router.root, 'root/.ssh/authorized_keys'), join(router.root, keysFile))
  await symlink(`/${keysFile}`, join(router.root, 'root/.ssh/authorized_keys'))
  return router
}

/** Its Secret is the mounted one. */
const withoutSecret = (manifests: string): string => manifests.split('---\n').slice(0, -1).join('---\n')

requires(
  ...routerPrograms,
  'ssh',
  'ssh-keygen',
)('the SSH key', () => {
  const section = 'The SSH key is to be changed'
  const routers: NamespaceRouter[] = []
  afterAll(() => Promise.all(routers.map((router) => router.stop())))

  test('is to be changed', { timeout: 120_000 }, async () => {
    const root = await makeTree({ 'secrets/routers/username': 'root', 'bin/.keep': '' })
    const secret = join(root, 'secrets/routers')
    const oldKey = await sshKey(join(secret, 'ssh-privatekey'), 'reflash-2026')
    for (let count = 0; count < 3; count += 1) routers.push(await startRouterWith(oldKey))
    await writeTo(root, 'fleet/fleet.yaml', withoutSecret(exampleFleetOf(routers)))
    const image = makeFirmware({ ...release, boards: ['tplink,archer-c7-v5'] })
    await writeTo(root, 'fleet/images/archer-c7-v5-24.10.8.bin', image)
    const service: Service = {
      bin: join(root, 'bin'),
      places: { '/etc/reflash': root, '/srv/fleet': join(root, 'fleet'), '/var/lib/reflash': root },
      flags: [join(root, 'fleet'), '--state', join(root, 'state.db'), '--secrets', join(root, 'secrets')],
      isRunning: true,
    }
    const script = placed(await scriptOf(section), service)
    await writeFile(join(service.bin, 'on-every-router'), script, { mode: 0o755 })
    const transcripts = readTranscripts(page, section)
    await play(transcripts, service, {
      [transcripts[0]!.command]: () => allPinned(join(root, 'state.db'), routers.length),
    })
    for (const router of routers) {
      const keys = await readFile(join(router.root, keysFile), 'utf8')
      expect(keys.match(/ reflash-\d+$/gm)).toEqual([' reflash-2027'])
    }
  })
})
