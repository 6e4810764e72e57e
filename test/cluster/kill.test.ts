/**
 * The leader, killed with SIGKILL at one point after the other: whoever leads next, and whatever the cluster still knows,
 * that brings the fleet to rest and no router is flashed twice. The points are those of the standalone program that there
 * are here. Of each write and command one instant is taken with one of the restarts, and of the start of a flash every
 * instant with every restart; REFLASH_KILLS=all plays every restart at each point.
 * Around the start the leader is also stopped, as by SIGSTOP, until another one has done its work: woken, it starts nothing.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { eventsOf } from '../../src/simulator/history.ts'
import { clusterPoints, coalesced, type ScenarioName } from '../crash/points.ts'
import { optionsOf } from '../crash/restarts.ts'
import { expectRest, scenarios } from '../crash/scenarios.ts'
import { countViolations } from '../crash/violations.ts'
import { nameOfPoint, type Point, type World } from '../crash/world.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { recordFigure } from '../support/figures.ts'
import { installCrds } from '../support/crds.ts'
import { unlessMissing } from '../support/requires.ts'
import { clusterRestarts, type ClusterRestartName } from './cluster-restarts.ts'
import { withClusterWorld } from './cluster-world.ts'

const limitMs = 300_000
// Much of it is waiting for leases that expire.
vi.setConfig({ maxConcurrency: 8, testTimeout: limitMs })

const names = Object.keys(clusterPoints) as ScenarioName[]

/** On both sides of what is done only once. */
const stopNames = new Set([
  'during upload',
  'before phase Flashing',
  'before guard',
  'unanswered guard',
  'before phase Succeeded',
])

const restartNames = Object.keys(clusterRestarts) as ClusterRestartName[]
const isAll = process.env['REFLASH_KILLS'] === 'all'

const chosen = (points: readonly Point[]): readonly Point[] => {
  if (isAll) return points
  const instants = Map.groupBy(points, ({ name, nth = 1 }) => `${name} ${nth}`)
  return [...instants.values()].flatMap((each, index) =>
    each[0]!.name === 'guard' ? each : [each[index % each.length]!],
  )
}
const all = names.flatMap((name) => chosen(clusterPoints[name]).map((point) => ({ name, point })))
/** Every restart where the flash of an upgrade starts or all are asked for, and elsewhere one after the other. */
const cases = all.flatMap(({ name, point }, index) =>
  (isAll || (name === 'plain' && point.name === 'guard')
    ? restartNames
    : [restartNames[index % restartNames.length]!]
  ).map((restart): [ClusterRestartName, ScenarioName, string, Point] => [
    restart,
    name,
    nameOfPoint(point),
    point,
  ]),
)

unlessMissing(missingApiServer())('a leader that is killed, or stands still', () => {
  let server: ApiServer
  beforeAll(async () => {
    server = await startApiServer()
    await installCrds(server)
  }, limitMs)
  afterAll(() => server?.stop())

  let [kills, pauses] = [0, 0]
  const { counted, violations } = countViolations()
  afterAll(() => {
    const points = names.reduce((sum, name) => sum + clusterPoints[name].length, 0)
    const suite = 'cluster-kills'
    recordFigure({ suite, name: 'points of a cluster', value: points })
    recordFigure({ suite, name: 'kills in a cluster', value: kills })
    recordFigure({ suite, name: 'violations in a cluster', value: violations(), goal: '0' })
    recordFigure({ suite, name: 'leaders stopped in a cluster', value: pauses })
  })

  describe.concurrent('stopped', () => {
    const stops = clusterPoints.plain.filter((point) => isAll || stopNames.has(nameOfPoint(point)))
    test.each(stops.map((point): [string, Point] => [nameOfPoint(point), point]))('%s', (_, point) =>
      counted(() =>
        withClusterWorld(server, {}, async (world) => {
          await world.stopAt(point, 'Converged')
          await expectRest(world, scenarios.plain)
          await expectNoneLost(world)
          pauses += 1
        }),
      ),
    )
  })

  describe.concurrent('killed', () => {
    test.each(cases)('%s: %s, %s', (restart, name, _, point) => {
      const scenario = scenarios[name]
      return counted(() =>
        withClusterWorld(server, optionsOf(restart, scenario), async (world) => {
          await clusterRestarts[restart](world, scenario, point)
          kills += 1
          await expectRest(world, scenario)
          if (world.remembers) await expectNoneLost(world)
        }),
      )
    })
  })

  describe.concurrent('the list of points', () => {
    const listed = new Set(names.flatMap((name) => clusterPoints[name].map((point) => point.name)))

    test.each(names)('has every write and every command that occurs in "%s"', async (name) => {
      const scenario = scenarios[name]
      await withClusterWorld(server, scenario.options ?? {}, async (world) => {
        await scenario.begin?.(world)
        const occurred = await world.namesUntil(scenario.ending)
        expect([...occurred].filter((each) => !listed.has(each) && !coalesced.has(each))).toEqual([])
        expect(clusterPoints[name].filter((point) => !occurred.has(point.name))).toEqual([])
      })
    })
  })
})

/** Each start of a flash is still told of by its operation. */
async function expectNoneLost(world: World): Promise<void> {
  const { operations } = await world.resources()
  const kept = operations.map(({ metadata }) => metadata.name)
  const started = world.fleet.routers.flatMap(({ history }) =>
    eventsOf(history, 'FlashStarted').map(({ order }) => order.operation),
  )
  expect(kept).toEqual(expect.arrayContaining(started))
}
