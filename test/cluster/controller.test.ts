/** The home in a cluster, whole: kubectl declares, the controller runs as its own account, real SSH at the other end. */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test, vi } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { createRouter } from '../../src/simulator/router.ts'
import { serveRouter } from '../../src/simulator/ssh-server.ts'
import {
  startClusterFleet,
  startController,
  untilConverged,
  type ClusterFleet,
  type RunningController,
} from '../support/cluster-fleet.ts'
import { clusterTestMs, describeCluster } from '../support/cluster-suite.ts'
import { reflash } from '../support/cli.ts'
import { linesNotIn, readTranscripts } from '../support/transcripts.ts'
import { until } from '../support/until.ts'

vi.setConfig({ testTimeout: clusterTestMs })

describeCluster(
  'a controller in a cluster',
  (cluster) => {
    const { kubectl, open } = cluster

    const fleetOf = async (count: number, more: object = {}): Promise<ClusterFleet> => {
      const fleet = await startClusterFleet(cluster.server, { count, ...more })
      open.push(fleet)
      await kubectl('apply', '-f', fleet.folder)
      return fleet
    }
    const controllerOf = (fleet: ClusterFleet, flags: object = {}): RunningController => {
      const cache = join(fleet.folder, `cache-${open.length}`)
      const controller = startController(cluster.kubeconfigs.controller, {
        images: fleet.folder,
        cache,
        ...flags,
      })
      open.push(controller)
      return controller
    }
    const converged = () => untilConverged(kubectl)

    test('brings what kubectl applies to its target, as its own account and with nothing more than its rights', async () => {
      const fleet = await fleetOf(6)
      const controller = controllerOf(fleet)
      await converged()
      expect(fleet.onTarget()).toBe(6)
      expect(fleet.flashes()).toEqual([1, 1, 1, 1, 1, 1])
      const phases = await kubectl('get', 'upgradeoperations', '-o', 'jsonpath={.items[*].status.phase}')
      expect(phases).toBe(Array.from({ length: 6 }, () => 'Succeeded').join(' '))
      expect(controller.events.filter(({ type }) => type === 'Bug')).toEqual([])
      expect(await controller.stop()).toBe('Stopped')
      const told = (namespace: string) =>
        kubectl(
          'get',
          'events',
          '-n',
          namespace,
          '-o',
          'jsonpath={range .items[*]}{.involvedObject.kind} {.reason}{"\\n"}{end}',
        )
      expect((await told('reflash-system')).split('\n')).toEqual(
        expect.arrayContaining(['Namespace Started', 'Namespace LeaderElected']),
      )
      const ofFleet = (await told('default')).split('\n')
      expect(ofFleet.filter((line) => line === 'Device UpgradeSucceeded')).toHaveLength(6)
      expect(ofFleet.filter((line) => line === 'UpgradeOperation Succeeded')).toHaveLength(6)
      expect(ofFleet.filter((line) => line.startsWith('Namespace'))).toEqual([])
    })

    test('the README: the first router of a cluster, and what everybody then says of it', async () => {
      const router = createRouter({
        name: 'ap-17',
        clock: systemClock,
        random: createRandom('ap-17'),
        release: knownReleases['23.05.5'],
        board: 'tplink,archer-c7-v5',
        timings: { connectMs: 0, commandMs: 0, testMs: 10, shutdownMs: 50, flashMs: 100, rebootMs: 300 },
      })
      const served = await serveRouter(router)
      open.push({ stop: () => served.close() })
      const folder = join(cluster.server.folder, 'quickstart')
      await cp(fileURLToPath(new URL('../../examples/quickstart', import.meta.url)), folder, {
        recursive: true,
      })
      const manifest = await readFile(join(folder, 'fleet.yaml'), 'utf8')
      await writeFile(
        join(folder, 'fleet.yaml'),
        manifest.replace('[192.0.2.17], port: 22', `[127.0.0.1], port: ${served.port}`),
      )
      const cache = join(cluster.server.folder, 'quickstart-cache')
      const controller = startController(cluster.kubeconfigs.controller, { images: folder, cache })
      open.push(controller)

      const shown = readTranscripts('README.md').filter(({ command }) =>
        /^kubectl (?!--server )/.test(command),
      )
      expect(shown.length).toBeGreaterThanOrEqual(4)
      for (const { command, lines } of shown) {
        const args = command.split(' ').slice(1)
        const output = () => kubectl(...args.map((word) => (word === 'examples/quickstart' ? folder : word)))
        if (command.startsWith('kubectl apply ')) expect(linesNotIn(await output(), lines)).toEqual([])
        // Events are written a moment later than what they tell of.
        else await until(command, async () => linesNotIn(await output(), lines).length === 0)
      }

      const steady = (text: string): string =>
        text.replaceAll(/(?<= )(?:\d+[dhms]){1,2}(?=\s)/g, '<age>').replaceAll(/ +/g, ' ')
      const env = { REFLASH_SERVER: await controller.url }
      for (const kind of ['devices', 'upgradeoperations', 'upgradepolicies', 'firmwareimages']) {
        for (const format of [[], ['-o', 'wide']]) {
          const [ours, theirs] = await Promise.all([
            reflash(['get', kind, ...format], env),
            kubectl('get', kind, ...format),
          ])
          expect(steady(ours.stdout)).toBe(steady(theirs))
        }
      }
      const why = await reflash(['why', 'ap-17'], env)
      expect(why.stdout).toContain('on its target: there is nothing to do')
      expect(why.code).toBe(0)
    })
  },
  ({ kubectl }) => kubectl('delete', 'secret', 'routers', '--ignore-not-found'),
)
