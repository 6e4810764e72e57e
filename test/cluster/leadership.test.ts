/** Two controllers and one Lease: who does not lead is warm, tells nothing twice, and takes over what is under way. */
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import {
  controllerAccount,
  startClusterFleet,
  startController,
  untilConverged,
  type ClusterFleet,
  type RunningController,
} from '../support/cluster-fleet.ts'
import { clusterTestMs, describeCluster } from '../support/cluster-suite.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'
import { until } from '../support/until.ts'

vi.setConfig({ testTimeout: clusterTestMs })

const lease = `/apis/coordination.k8s.io/v1/namespaces/${controllerAccount.namespace}/leases/reflash`

describeCluster(
  'two controllers and one lease',
  (cluster) => {
    const { kubectl, open } = cluster

    const fleetOf = async (count: number, more: object = {}): Promise<ClusterFleet> => {
      const fleet = await startClusterFleet(cluster.server, { count, ...more })
      open.push(fleet)
      return fleet
    }
    const controllerOf = (fleet: ClusterFleet): RunningController => {
      const cache = join(fleet.folder, `cache-${open.length}`)
      const controller = startController(cluster.kubeconfigs.controller, { images: fleet.folder, cache })
      open.push(controller)
      return controller
    }
    const leads = ({ events }: RunningController): boolean =>
      events.some((event) => event.type === 'Info' && event.reason === 'LeaderElected')
    const leading = (controller: RunningController, limit: number) =>
      until('it leads', () => leads(controller), limit)
    const read = async (controller: RunningController, path: string): Promise<Response> =>
      fetch(new URL(path, await controller.url))
    const converged = () => untilConverged(kubectl)

    test('the standby serves reads, counts nothing, and leads soon after the leader has ended', async () => {
      const fleet = await fleetOf(4)
      const leader = controllerOf(fleet)
      await leading(leader, 30_000)
      const standby = controllerOf(fleet)
      await until('a standby that is ready', async () => (await read(standby, '/readyz')).ok, 30_000)
      await kubectl('apply', '-f', fleet.folder)
      await converged()
      expect(leads(standby)).toBe(false)
      const served = await until('news of every device', async () => {
        const path = '/apis/reflash.dev/v1alpha1/namespaces/default/devices'
        const { items } = (await (await read(standby, path)).json()) as { items: { status: object }[] }
        return items.every(({ status }) => JSON.stringify(status).includes('OnTarget')) && items
      })
      expect(served.length).toBe(4)

      const metricsOf = async (controller: RunningController) =>
        parseExposition(await (await read(controller, '/metrics')).text())
      const ledBy = async (...controllers: RunningController[]) =>
        Promise.all(
          controllers.map(async (each) => valueOf(await metricsOf(each), 'leader_election_master_status')),
        )
      expect(await ledBy(leader, standby)).toEqual([1, 0])
      const sums = async (controller: RunningController) => {
        const families = await metricsOf(controller)
        return ['reflash_upgrades_total', 'reflash_upgrade_duration_seconds_count', 'reflash_devices'].map(
          (name) => valueOf(families, name) ?? 0,
        )
      }
      const [upgrades, durations, devices] = await sums(leader)
      expect([upgrades, devices]).toEqual([4, 4])
      expect(durations).toBeGreaterThan(0)
      expect(await sums(standby)).toEqual([0, 0, 0])

      expect(await leader.stop()).toBe('Stopped')
      const stoppedAt = performance.now()
      await leading(standby, 30_000)
      // It looks every 2.4 s at most, and then reads what has come last.
      expect(performance.now() - stoppedAt).toBeLessThan(5000)
      await until('the fleet in its metrics', async () => (await sums(standby))[2] === 4)
      expect(await ledBy(standby)).toEqual([1])
      expect(fleet.flashes()).toEqual([1, 1, 1, 1])
    })

    test('a leader that loses its lease leaves the verdict on a flash to the next one', async () => {
      const timings = {
        connectMs: 0,
        commandMs: 0,
        testMs: 10,
        shutdownMs: 50,
        flashMs: 100,
        rebootMs: 15_000,
      }
      const fleet = await fleetOf(4, { timings })
      await kubectl('apply', '-f', fleet.folder)
      const leader = controllerOf(fleet)
      await leading(leader, 30_000)
      const standby = controllerOf(fleet)
      await until(
        'flashes in flight',
        () => fleet.routers.every(({ state }) => state.power === 'Down'),
        60_000,
      )
      const body = { spec: { holderIdentity: 'a stranger', leaseDurationSeconds: 1 } }
      await cluster.server.request('PATCH', lease, { body, contentType: 'application/merge-patch+json' })
      expect(await leader.ended).toBe('Lost')
      await leading(standby, 30_000)
      await converged()
      expect(fleet.flashes()).toEqual([1, 1, 1, 1])
      expect(fleet.onTarget()).toBe(4)
      const verdicts = ({ events }: RunningController) =>
        events.filter((event) => event.type === 'Phase' && event.phase === 'Succeeded').length
      expect([verdicts(leader), verdicts(standby)]).toEqual([0, 4])
      for (const { events } of [leader, standby])
        expect(events.filter(({ type }) => type === 'Bug')).toEqual([])
    })
  },
  ({ server }) => server.request('DELETE', lease),
)
