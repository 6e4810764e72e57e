/** A fleet is shared out by namespaces: everything that a reference can reach is in one, and one controller sees all of it. */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { notBuilt } from '../support/built-programs.ts'
import {
  installReflash,
  kubectlOf,
  startClusterFleet,
  startController,
  type ClusterFleet,
  type RunningController,
} from '../support/cluster-fleet.ts'
import { removeAll } from '../support/kubernetes-store.ts'
import { newestKubectl } from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'

const limitMs = 120_000
vi.setConfig({ testTimeout: limitMs })

unlessMissing([...missingApiServer(), ...notBuilt([newestKubectl])])('controllers of some namespaces', () => {
  let server: ApiServer
  let kubeconfig: string
  let kubectl: (...args: string[]) => Promise<string>
  const open: { stop(): Promise<unknown> }[] = []

  beforeAll(async () => {
    server = await startApiServer()
    ;({ admin: kubeconfig } = await installReflash(server))
    kubectl = kubectlOf(kubeconfig)
    for (const name of ['berlin', 'lisbon', 'reflash-berlin', 'reflash-lisbon'])
      await kubectl('create', 'namespace', name)
  }, limitMs)
  afterEach(async () => {
    for (const each of open.splice(0).toReversed()) await each.stop()
    await removeAll(server)
  })
  afterAll(() => server?.stop())

  const startIn = async (
    namespace: string,
  ): Promise<{ fleet: ClusterFleet; controller: RunningController }> => {
    const fleet = await startClusterFleet(server, { count: 3 })
    const controller = startController(kubeconfig, {
      images: fleet.folder,
      cache: join(fleet.folder, 'cache'),
      namespace: [namespace],
      controllerNamespace: `reflash-${namespace}`,
    })
    open.push(fleet, controller)
    await kubectl('apply', '--namespace', namespace, '-f', fleet.folder)
    return { fleet, controller }
  }
  const namespacesOf = ({ events }: RunningController): string[] => [
    ...new Set(events.flatMap((event) => (event.type === 'Phase' ? [event.operation.namespace] : []))),
  ]

  test('lead side by side, and each upgrades its own, of the same names', async () => {
    const worlds = await Promise.all(['berlin', 'lisbon'].map(startIn))
    for (const namespace of ['berlin', 'lisbon'])
      await kubectl(
        'wait',
        '--for=condition=Converged',
        '--timeout=90s',
        'upgradepolicy/access-points',
        `--namespace=${namespace}`,
      )
    for (const { fleet } of worlds) expect(fleet.flashes()).toEqual([1, 1, 1])
    expect(worlds.map(({ controller }) => namespacesOf(controller))).toEqual([['berlin'], ['lisbon']])
    for (const { controller } of worlds)
      expect(controller.events.filter(({ type }) => type === 'Bug')).toEqual([])
  })

  test('the objects of a namespace that nobody works in are left alone', async () => {
    const { fleet } = await startIn('berlin')
    await kubectl('apply', '--namespace', 'lisbon', '-f', fleet.folder)
    await kubectl(
      'wait',
      '--for=condition=Converged',
      '--timeout=90s',
      'upgradepolicy/access-points',
      '--namespace=berlin',
    )
    const statuses = await kubectl(
      'get',
      'devices,upgradepolicies,upgradeoperations',
      '--namespace=lisbon',
      '-o',
      'jsonpath={.items[*].status}',
    )
    expect(statuses.trim()).toBe('')
    expect(fleet.flashes()).toEqual([1, 1, 1])
  })
})
