/** Upgrades that an operator asked for by hand, and controllers that all believe they lead: each router is flashed once. */
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { expect, test, vi } from 'vitest'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import {
  startClusterFleet,
  startController,
  type RunningController,
  untilAll,
} from '../support/cluster-fleet.ts'
import { clusterTestMs, describeCluster } from '../support/cluster-suite.ts'

vi.setConfig({ testTimeout: clusterTestMs })

/** The policy starts nothing by itself, and is there for its retries alone. */
const policy = {
  state: 'Plan',
  retry: { preFlash: 10, backoff: '1s', maxBackoff: '2s', quarantine: '24h' },
  offline: { action: 'Wait', recheck: '1s', maxRecheck: '2s', expireAfter: '0s' },
} as const

describeCluster('operations by hand', (cluster) => {
  const { kubectl, open } = cluster

  test('two controllers without an election do each of them once', async () => {
    const count = 8
    const fleet = await startClusterFleet(cluster.server, { count, policy })
    open.push(fleet)
    fleet.routers[0]!.inject({ kind: 'UploadCut', afterBytes: 1000 })
    fleet.routers[2]!.inject({ kind: 'LinkLost', command: 'guard', at: 'After' })
    const controllers = [0, 1].map((index): RunningController => {
      const cache = join(fleet.folder, `cache-${index}`)
      const controller = startController(cluster.kubeconfigs.controller, {
        images: fleet.folder,
        cache,
        leaderElect: false,
      })
      open.push(controller)
      return controller
    })
    const asked = fleet.routers.map(({ name }) => ({
      apiVersion,
      kind: 'UpgradeOperation',
      metadata: { name: `by-hand-${name}` },
      spec: { deviceRef: { name }, buildRef: { name: 'access-points-24.10.8' } },
    }))
    await writeFile(
      join(fleet.folder, 'by-hand.yaml'),
      asked.map((object) => `${JSON.stringify(object)}\n`).join('---\n'),
    )
    await kubectl('apply', '-f', fleet.folder)
    await untilAll(kubectl, 'jsonpath={.status.phase}=Succeeded', ['upgradeoperations', '--all'])
    const { items } = JSON.parse(await kubectl('get', 'upgradeoperations', '-o', 'json')) as {
      items: UpgradeOperation[]
    }
    expect(items.map(({ metadata }) => metadata.name).toSorted()).toEqual(
      asked.map(({ metadata }) => metadata.name).toSorted(),
    )
    const once = Array.from({ length: count }, () => 1)
    expect(fleet.flashes()).toEqual(once)
    expect(fleet.routers.map(({ history }) => eventsOf(history, 'FlashStarted').length)).toEqual(once)
    expect(fleet.onTarget()).toBe(count)
    for (const { events } of controllers) expect(events.filter(({ type }) => type === 'Bug')).toEqual([])
  })
})
