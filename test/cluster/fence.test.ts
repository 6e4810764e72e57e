/** Controllers that all believe they lead, on one fleet: writes and devices are the fence, and no election. */
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { UpgradeOperation } from '../../src/api/resources.ts'
import type { Fault } from '../../src/simulator/faults.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import type { Router } from '../../src/simulator/router.ts'
import {
  startClusterFleet,
  startController,
  untilConverged,
  type ClusterFleet,
  type RunningController,
} from '../support/cluster-fleet.ts'
import { clusterTestMs, describeCluster } from '../support/cluster-suite.ts'
import { countWrites, type WriteCount } from '../support/counted-writes.ts'

vi.setConfig({ testTimeout: clusterTestMs })

/** Those that an upgrade gets over by another try. */
const passing: readonly Fault[] = [
  { kind: 'UploadCut', afterBytes: 1000 },
  { kind: 'UploadCorrupted' },
  { kind: 'LinkLost', command: 'test', at: 'Before' },
  { kind: 'LinkLost', command: 'guard', at: 'After' },
  { kind: 'SlowConnect', ms: 1500 },
]

const retries = {
  retry: { preFlash: 10, backoff: '1s', maxBackoff: '2s', quarantine: '24h' },
  offline: { action: 'Wait', recheck: '1s', maxRecheck: '2s', expireAfter: '0s' },
} as const

describeCluster('controllers without an election', (cluster) => {
  const { kubectl, open } = cluster

  const fleetOf = async (count: number): Promise<ClusterFleet> => {
    const fleet = await startClusterFleet(cluster.server, { count, policy: retries })
    open.push(fleet)
    return fleet
  }
  const controllersOf = (fleet: ClusterFleet, count: number) =>
    Array.from({ length: count }, (_, index): RunningController & { writes: WriteCount } => {
      const writes = countWrites()
      const flags = {
        images: fleet.folder,
        cache: join(fleet.folder, `cache-${index}`),
        leaderElect: false,
      }
      const controller = startController(cluster.kubeconfigs.controller, flags, { decorate: writes.decorate })
      open.push(controller)
      return { ...controller, writes }
    })
  const apply = (fleet: ClusterFleet) => kubectl('apply', '-f', fleet.folder)
  const converged = () => untilConverged(kubectl)
  const operations = async (): Promise<UpgradeOperation[]> =>
    (JSON.parse(await kubectl('get', 'upgradeoperations', '-o', 'json')) as { items: UpgradeOperation[] })
      .items
  const bugs = (controllers: readonly RunningController[]) =>
    controllers.flatMap(({ events }) => events.filter(({ type }) => type === 'Bug'))

  /** An upgrade takes about eight writes; what is lost to another controller is no write, but is asked of the server too. */
  const writesPerUpgrade = 40
  const expectPeace = (controllers: readonly { writes: WriteCount }[], upgrades: number): void => {
    for (const [index, { writes }] of controllers.entries())
      expect(writes.total(), `writes of controller ${index}: ${writes.told()}`).toBeLessThan(
        writesPerUpgrade * upgrades,
      )
  }

  test.each([2, 3])('%i of them flash each router once', async (count) => {
    const fleet = await fleetOf(12)
    for (const [index, fault] of passing.entries()) fleet.routers[index * 2]!.inject(fault)
    const controllers = controllersOf(fleet, count)
    await apply(fleet)
    await converged()
    expect(fleet.onTarget()).toBe(12)
    expect(fleet.flashes()).toEqual(Array.from({ length: 12 }, () => 1))
    expect(fleet.routers.map(startsOf)).toEqual(Array.from({ length: 12 }, () => 1))
    const all = await operations()
    expect(all.map(({ status }) => status.phase)).toEqual(Array.from({ length: 12 }, () => 'Succeeded'))
    expect(all.length).toBe(12)
    for (const { name, state } of fleet.routers) expect(state.files.size, `files left on ${name}`).toBe(0)
    expect(bugs(controllers)).toEqual([])
    expectPeace(controllers, 12)
  })
})

const startsOf = ({ history }: Router): number => eventsOf(history, 'FlashStarted').length
