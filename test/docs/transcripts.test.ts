/** What the pages show is what is printed: each command that they show is run, over the fleet that they name. */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { createRouter } from '../../src/simulator/router.ts'
import { serveRouter } from '../../src/simulator/ssh-server.ts'
import { reflash } from '../support/cli.ts'
import { builtPrograms, notBuilt } from '../support/built-programs.ts'
import { makeKubectl, type Kubectl } from '../support/kubectl.ts'
import { unlessMissing } from '../support/requires.ts'
import { startServedApi, type ServedApi } from '../support/served-api.ts'
import { makeServedFleet, startServedFleet, type ServedFleet } from '../support/served-fleet.ts'
import { linesNotIn, readTranscripts, type Transcript } from '../support/transcripts.ts'
import { makeTree } from '../support/tree.ts'
import { until } from '../support/until.ts'

const readme = readTranscripts('README.md')
const kubectlPage = readTranscripts('docs/kubectl.md')
const of = (transcripts: readonly Transcript[], start: string): Transcript[] =>
  transcripts.filter(({ command }) => command.startsWith(start))

const hour = 3_600_000
const slowReboot = { connectMs: 0, commandMs: 0, testMs: 10, shutdownMs: 50, flashMs: 100, rebootMs: hour }
const kubectls = builtPrograms('kubectl')
const newest = kubectls.toSorted((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }))
const kubectlOf = (server: string, folder: string): Kubectl => makeKubectl(newest.at(-1)!, server, folder)

/** A command line as a shell would take it apart, without its first `words`. */
const argumentsOf = (command: string, words: number): string[] =>
  command
    .split(' ')
    .slice(words)
    .map((word) => word.replaceAll("'", ''))

const blockedBy = (fleet: ServedFleet, reason: string, count: number): Promise<unknown> =>
  until(
    `${count} wait: ${reason}`,
    async () => {
      const devices = await fleet.stored('Device')
      return devices.filter(({ status }) => status.blocked?.reason === reason).length === count
    },
    30_000,
  )

test('every command of these pages is one that is run here', () => {
  const commands = [...readme, ...kubectlPage].map(({ command }) => command)
  const known = [
    /^npx reflash (?:validate|plan|run) my-fleet\//,
    /^npx reflash (?:get|why|tree|wait) /,
    /^kubectl --server http:\/\/127\.0\.0\.1:8080 /,
    // Those of the README are run in test/cluster.
    /^kubectl (?:apply|get|wait|events|delete) /,
    // These say what to type and print nothing of ours.
    /^kubectl config /,
    /^reflash (?:token|run) /,
  ]
  expect(commands.filter((command) => !known.some((pattern) => pattern.test(command)))).toEqual([])
  expect(of(readme, 'npx reflash ').length).toBeGreaterThanOrEqual(8)
  expect(of(readme, 'kubectl --server ').length).toBeGreaterThanOrEqual(2)
  expect(of(kubectlPage, 'kubectl ').length).toBeGreaterThanOrEqual(6)
})

test('the README: the first router', { timeout: 120_000 }, async () => {
  const router = createRouter({
    name: 'ap-17',
    clock: systemClock,
    random: createRandom('ap-17'),
    release: knownReleases['23.05.5'],
    board: 'tplink,archer-c7-v5',
    timings: { ...slowReboot, rebootMs: 300 },
  })
  const served = await serveRouter(router)
  onTestFinished(() => served.close())
  const root = await makeTree()
  const fleet = join(root, 'my-fleet')
  await cp(fileURLToPath(new URL('../../examples/quickstart', import.meta.url)), fleet, { recursive: true })
  const manifest = await readFile(join(fleet, 'fleet.yaml'), 'utf8')
  const placed = manifest.replace('[192.0.2.17], port: 22', `[127.0.0.1], port: ${served.port}`)
  expect(placed).not.toBe(manifest)
  await writeFile(join(fleet, 'fleet.yaml'), placed)

  for (const { command, lines } of readme.filter((shown) => shown.command.includes('my-fleet/'))) {
    const args = argumentsOf(command, 2).map((word) => (word === 'my-fleet/' ? fleet : word))
    const { stdout, stderr } = await reflash(args, { XDG_STATE_HOME: root })
    expect(linesNotIn(stdout + stderr, lines), `${command}\n${stdout}${stderr}`).toEqual([])
  }
})

test('the README: waiting for a policy', async () => {
  const fleet = await makeServedFleet({ count: 1 })
  const controller = await startServedApi(fleet)
  onTestFinished(() => controller.stop())
  const waits = of(readme, 'npx reflash wait ')
  expect(waits.length).toBeGreaterThan(0)
  for (const { command, lines } of waits) {
    await until('the policy is there', async () => {
      const { code } = await reflash(['get', 'policy/access-points'], { REFLASH_SERVER: controller.url })
      return code === 0
    })
    const { stdout } = await reflash(argumentsOf(command, 2), { REFLASH_SERVER: controller.url })
    expect(linesNotIn(stdout, lines), `${command}\n${stdout}`).toEqual([])
  }
})

describe('the README: six routers, two upgraded at once', () => {
  const upgraded = ['ap-003', 'ap-005']
  let fleet: ServedFleet
  let controller: ServedApi

  beforeAll(async () => {
    fleet = await startServedFleet({
      count: 6,
      seed: 'demo',
      releases: [knownReleases['23.05.5'], knownReleases['24.10.0']],
      timings: slowReboot,
      policy: { limits: { maxConcurrent: 2, startsPerMinute: 10_000 } },
    })
    // Whoever answers first has a slot: the other four have to wait.
    for (const router of fleet.routers.filter(({ name }) => !upgraded.includes(name)))
      router.inject({ kind: 'LateDelivery', command: 'probe', ms: 5000 })
    controller = await startServedApi(fleet)
    await blockedBy(fleet, 'WaitingForSlot', fleet.routers.length - upgraded.length)
    await until('two that reboot in silence', async () => {
      const operations = await fleet.stored('UpgradeOperation')
      const silent = operations.filter(
        ({ status }) => status.phase === 'Rebooting' && status.message?.startsWith('the device is silent'),
      )
      return silent.length === 2
    })
  })

  afterAll(async () => {
    await controller.stop()
    await fleet.stop()
  })

  test.each(readme.filter(({ command }) => /^npx reflash (?:get|why|tree) /.test(command)))(
    '$command',
    async ({ command, lines }) => {
      const { stdout } = await reflash(argumentsOf(command, 2), { REFLASH_SERVER: controller.url })
      expect(linesNotIn(stdout, lines), stdout).toEqual([])
    },
  )

  unlessMissing(notBuilt(newest))('with kubectl', () => {
    test.each(of(readme, 'kubectl --server '))('$command', async ({ command, lines }) => {
      const { stdout, stderr } = await kubectlOf(controller.url, fleet.folder).run(...argumentsOf(command, 3))
      expect(linesNotIn(stdout + stderr, lines), stdout + stderr).toEqual([])
    })
  })
})

unlessMissing(notBuilt(newest))('docs/kubectl.md', () => {
  test('is what kubectl prints for five routers', async () => {
    const fleet = await makeServedFleet({ count: 5, seed: 'kubectl', policy: { state: 'Plan' } })
    const controller = await startServedApi(fleet)
    onTestFinished(() => controller.stop())
    const kubectl = kubectlOf(controller.url, fleet.folder)
    await blockedBy(fleet, 'PolicyPlanned', fleet.routers.length)
    const shown = kubectlPage.filter(({ command }) => /^kubectl (?:get|wait|events|delete) /.test(command))
    const isFollowed = ({ command }: Transcript): boolean => command.endsWith(' --watch')
    const first = shown.findIndex(isFollowed)
    const check = async ({ command, lines }: Transcript): Promise<void> => {
      const { stdout, stderr } = await kubectl.run(...argumentsOf(command, 1))
      expect(linesNotIn(stdout + stderr, lines), `${command}\n${stdout}${stderr}`).toEqual([])
    }
    for (const transcript of shown.slice(0, first)) await check(transcript)

    const watches = shown.filter(isFollowed).map((transcript) => ({
      ...transcript,
      seen: kubectl.follow(...argumentsOf(transcript.command, 1)),
    }))
    const policyFile = 'settings/UpgradePolicy-access-points.yaml'
    const policy = await readFile(join(fleet.directory, policyFile), 'utf8')
    await fleet.write(policyFile, policy.replace('"Plan"', '"Run"'))
    for (const transcript of shown.slice(first).filter((one) => !isFollowed(one))) await check(transcript)
    for (const { command, lines, seen } of watches) {
      await seen.line(/^ap-003-\S+ +ap-003 +Succeeded /)
      // Short phases may be one change: which of them are seen depends on how long they take.
      const certain = lines.filter((line) => /NAME|Flashing|Rebooting|Succeeded/.test(line))
      expect(certain.length).toBeGreaterThan(2)
      expect(linesNotIn(seen.lines.join('\n'), certain), `${command}\n${seen.lines.join('\n')}`).toEqual([])
    }
  })
})
