/** A fleet is shared out by namespaces: everything that a reference can reach is in one, and one controller sees all of it. */
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import {
  startClusterFleet,
  startController,
  untilConverged,
  type ClusterFleet,
  type RunningController,
} from '../support/cluster-fleet.ts'
import { clusterTestMs, describeCluster } from '../support/cluster-suite.ts'

vi.setConfig({ testTimeout: clusterTestMs })

describeCluster('controllers of some namespaces', (cluster) => {
  const { kubectl, open } = cluster

  beforeAll(async () => {
    for (const name of ['berlin', 'lisbon', 'reflash-berlin', 'reflash-lisbon'])
      await kubectl('create', 'namespace', name)
  })

  const startIn = async (
    namespace: string,
  ): Promise<{ fleet: ClusterFleet; controller: RunningController }> => {
    const fleet = await startClusterFleet(cluster.server, { count: 3 })
    const controller = startController(cluster.kubeconfigs.admin, {
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
    for (const namespace of ['berlin', 'lisbon']) await untilConverged(kubectl, namespace)
    for (const { fleet } of worlds) expect(fleet.flashes()).toEqual([1, 1, 1])
    expect(worlds.map(({ controller }) => namespacesOf(controller))).toEqual([['berlin'], ['lisbon']])
    for (const { controller } of worlds)
      expect(controller.events.filter(({ type }) => type === 'Bug')).toEqual([])
  })

  test('the objects of a namespace that nobody works in are left alone', async () => {
    const { fleet } = await startIn('berlin')
    await kubectl('apply', '--namespace', 'lisbon', '-f', fleet.folder)
    await untilConverged(kubectl, 'berlin')
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
