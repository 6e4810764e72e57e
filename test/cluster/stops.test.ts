/**
 * The leader of a cluster, told to start nothing at one point after the other: by the halt annotation on its namespace, by
 * `Pause` and `Abort` in the policy, by SIGTERM beside a standby. It starts nothing more than a second later, what is under
 * way ends as it would, no router is left without its services, and when starts are allowed again everything comes to
 * rest and no router is flashed twice.
 * Around the start of a flash each way is played, elsewhere one at one point of three; REFLASH_KILLS=all plays every way at
 * each point.
 */
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import { clusterPoints } from '../crash/points.ts'
import { countStops, lastQuestion, longAgo, stopsAmong } from '../crash/stops.ts'
import { slowTest } from '../crash/world.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { installCrds } from '../support/crds.ts'
import { recordFigure } from '../support/figures.ts'
import { scarce } from '../support/scarce.ts'
import { unlessMissing } from '../support/requires.ts'
import { clusterStops } from './cluster-stops.ts'
import { withClusterWorld } from './cluster-world.ts'

const limitMs = 300_000
// Much of it is waiting.
vi.setConfig({ maxConcurrency: 12, testTimeout: limitMs })

unlessMissing(missingApiServer())('a leader told to start nothing', () => {
  let server: ApiServer
  beforeAll(async () => {
    server = await startApiServer()
    await installCrds(server)
  }, limitMs)
  afterAll(() => server?.stop())

  const { counted, play, figures } = countStops(clusterPoints.plain, ' in a cluster')
  afterAll(() => {
    for (const figure of figures()) recordFigure(figure)
  })

  describe.concurrent('in a cluster', () => {
    test.each(stopsAmong(clusterPoints.plain))('by %s, %s', (name, _, point) =>
      counted(() =>
        withClusterWorld(server, slowTest, async (world) => {
          const held = await world.holdAt(point, name === 'SIGTERM' ? 'a standby' : 'nobody')
          await play(world, held, clusterStops[name])
        }),
      ),
    )

    test('by HALT, a second before it asks', () =>
      counted(() =>
        withClusterWorld(server, scarce, async (world) => {
          await play(world, await world.holdAt(lastQuestion, 'nobody'), longAgo(clusterStops.HALT))
        }),
      ))
  })
})
