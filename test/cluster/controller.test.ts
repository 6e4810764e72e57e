/** The home in a cluster, whole: kubectl declares, the controller runs as its own account, real SSH at the other end. */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import {
  installReflash,
  kubectlOf,
  startClusterFleet,
  startController,
  type ClusterFleet,
  type RunningController,
} from '../support/cluster-fleet.ts'
import { removeAll } from '../support/kubernetes-store.ts'
import { notBuilt } from '../support/built-programs.ts'
import { newestKubectl } from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'

const limitMs = 120_000
vi.setConfig({ testTimeout: limitMs })

unlessMissing([...missingApiServer(), ...notBuilt([newestKubectl])])('a controller in a cluster', () => {
  let server: ApiServer
  let kubeconfigs: { admin: string; controller: string }
  let kubectl: (...args: string[]) => Promise<string>
  const open: { stop(): Promise<unknown> }[] = []

  beforeAll(async () => {
    server = await startApiServer()
    kubeconfigs = await installReflash(server)
    kubectl = kubectlOf(kubeconfigs.admin)
  }, limitMs)
  afterEach(async () => {
    for (const each of open.splice(0).toReversed()) await each.stop()
    await removeAll(server)
  })
  afterAll(() => server?.stop())

  const fleetOf = async (count: number, more: object = {}): Promise<ClusterFleet> => {
    const fleet = await startClusterFleet(server, { count, ...more })
    open.push(fleet)
    await kubectl('apply', '-f', fleet.folder)
    return fleet
  }
  const controllerOf = (fleet: ClusterFleet, flags: object = {}): RunningController => {
    const cache = join(fleet.folder, `cache-${open.length}`)
    const controller = startController(kubeconfigs.controller, { images: fleet.folder, cache, ...flags })
    open.push(controller)
    return controller
  }
  const converged = () =>
    kubectl('wait', '--for=condition=Converged', '--timeout=90s', 'upgradepolicy/access-points')

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
})
