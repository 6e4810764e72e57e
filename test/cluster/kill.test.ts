/**
 * The leader, killed with SIGKILL at one point after the other while a standby reads along: that takes over, brings the
 * fleet to rest, and no router is flashed twice. The points are those of the standalone program that there are here.
 * Of each write and command one instant is taken, and of the start of a flash every one; REFLASH_KILLS=all takes all.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { eventsOf } from '../../src/simulator/history.ts'
import { clusterPoints, coalesced, type ScenarioName } from '../crash/points.ts'
import { expectRest, scenarios } from '../crash/scenarios.ts'
import { nameOfPoint, type Point, type World } from '../crash/world.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { installCrds } from '../support/crds.ts'
import { unlessMissing } from '../support/requires.ts'
import { withClusterWorld } from './kill-world.ts'

const limitMs = 300_000
// Much of it is waiting for leases that expire.
vi.setConfig({ maxConcurrency: 8, testTimeout: limitMs })

const names = Object.keys(clusterPoints) as ScenarioName[]

const chosen = (points: readonly Point[]): readonly Point[] => {
  if (process.env['REFLASH_KILLS'] === 'all') return points
  const instants = Map.groupBy(points, ({ name, nth = 1 }) => `${name} ${nth}`)
  return [...instants.values()].flatMap((each, index) =>
    each[0]!.name === 'guard' ? each : [each[index % each.length]!],
  )
}

unlessMissing(missingApiServer())('a leader that is killed', () => {
  let server: ApiServer
  beforeAll(async () => {
    server = await startApiServer()
    await installCrds(server)
  }, limitMs)
  afterAll(() => server?.stop())

  for (const name of names) {
    const scenario = scenarios[name]
    describe.concurrent(name, () => {
      test.each(chosen(clusterPoints[name]).map((point): [string, Point] => [nameOfPoint(point), point]))(
        '%s',
        async (_, point) => {
          await withClusterWorld(server, scenario.options ?? {}, async (world) => {
            await scenario.begin?.(world)
            await world.killAt(point)
            await expectRest(world, scenario)
            await expectNoneLost(world)
          })
        },
      )
    })
  }

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
