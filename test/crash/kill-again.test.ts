/** Killed more than once, robbed of its state, and restarted over other manifests: still nothing is flashed twice. */
import { describe, expect, test, vi } from 'vitest'
import { until } from '../support/until.ts'
import { expectFlashedOnce, expectRest, scenarios } from './scenarios.ts'
import { withWorld } from './standalone-world.ts'
import { nameOfPoint, target, type Point } from './world.ts'

vi.setConfig({ maxConcurrency: 10 })
const limitMs = 120_000

const at = (when: Point['when'], name: string, nth = 1): Point => ({ when, name, nth })
const named = (...points: Point[]): [string, Point[]] => [points.map(nameOfPoint).join(', then '), points]

describe.concurrent('killed one time after the other', () => {
  test.each([
    named(at('after', 'create UpgradeOperation'), at('after', 'claim')),
    named(at('after', 'claim'), at('before', 'phase Connecting')),
    named(at('after', 'phase Connecting'), at('during', 'upload')),
    named(at('during', 'upload'), at('during', 'upload')),
    named(at('before', 'phase Flashing'), at('unanswered', 'guard')),
    named(at('before', 'guard'), at('after', 'clear')),
    named(
      at('after', 'phase Flashing'),
      at('unanswered', 'clear'),
      at('before', 'guard'),
      at('unanswered', 'guard'),
    ),
    named(at('arrived', 'guard'), at('before', 'probe')),
    named(at('arrived', 'guard'), at('before', 'phase Succeeded')),
    named(at('unanswered', 'guard'), at('after', 'phase Succeeded'), at('before', 'free')),
    named(at('after', 'phase Rebooting'), at('before', 'phase Succeeded'), at('before', 'phase Succeeded')),
    named(at('after', 'phase Succeeded'), at('after', 'apply Device'), at('before', 'free')),
  ])('%s', { timeout: limitMs }, async (_, points) => {
    await withWorld({}, async (world) => {
      for (const point of points) await world.killAt(point)
      await expectRest(world, scenarios.plain)
    })
  })
})

/** Past the start, where nothing but the marker on the device knows of it once the state is gone. */
const pastStart = [
  at('arrived', 'guard'),
  at('unanswered', 'guard'),
  at('after', 'guard'),
  at('after', 'phase Rebooting'),
]

describe.concurrent('killed, and the state file deleted', () => {
  test.each([...pastStart, at('before', 'phase Failed'), at('after', 'free')].map((point) => named(point)))(
    '%s: what fell back is RolledBack, by its own marker',
    { timeout: limitMs },
    async (_, [point]) => {
      await withWorld({ count: 1 }, async (world) => {
        const [router] = world.fleet.routers
        router!.inject({ kind: 'RolledBack' })
        await world.killAt(point!)
        await world.forget()
        await finishAfresh(async () => {
          const ending = await world.finish()
          const [device] = (await world.resources()).devices
          return device!.status.blocked?.reason === 'RolledBack' ? ending : { kind: 'Stopped' }
        }, 'Stuck')
        expect((await world.finish()).kind).toBe('Stuck')
        expectFlashedOnce(world, 1)
        expect(router!.state.release.revision).not.toBe(target.revision)
      })
    },
  )

  /** Without state a router that is away is one that does not answer, and a run does not wait for that. */
  async function finishAfresh(finish: () => Promise<{ kind: string }>, wanted: string): Promise<void> {
    let kind: string | undefined
    for (let runs = 0; runs < 8 && kind !== wanted; runs += 1) ({ kind } = await finish())
    expect(kind).toBe(wanted)
  }
})

describe.concurrent('killed while a device returns', () => {
  const writes = ['status of Device', 'delete record']
  test.each(writes.flatMap((name) => [named(at('before', name)), named(at('after', name))]))(
    '%s: another router at its address is not taken for it',
    { timeout: limitMs },
    async (_, [point]) => {
      await withWorld({}, async (world) => {
        const first = async () => (await world.resources()).devices[0]!
        await world.comesTo('Converged')
        const { metadata, status } = await first()
        await world.declare({ without: [metadata.name] })
        await world.comesTo('Converged')
        const [router] = world.fleet.routers
        router!.inject({ kind: 'OtherDevice', board: status.board! })
        await until('the other one is up', () => router!.state.power === 'Up')
        await world.declare()
        await world.killAt(point!)
        expect((await world.finish()).kind).toBe('Stuck')
        const returned = await first()
        expect(returned.metadata.name).toBe(metadata.name)
        expect(returned.status).toMatchObject({ identity: status.identity, hostKeys: status.hostKeys })
        expectFlashedOnce(world, 1)
      })
    },
  )
})

describe.concurrent('killed, and the manifests changed meanwhile', () => {
  test('a policy that is paused by then starts nothing', { timeout: limitMs }, async () => {
    await withWorld({}, async (world) => {
      await world.killAt(at('before', 'create UpgradeOperation'))
      await world.declare({ policy: { state: 'Pause' } })
      expect((await world.finish()).kind).toBe('Stuck')
      for (const { history } of world.fleet.routers)
        expect(history.filter(({ type }) => type === 'FlashStarted')).toEqual([])
      await world.declare()
      await expectRest(world, scenarios.plain)
    })
  })

  test(
    'an operation of a policy that is aborted by then gives its device back as it was',
    { timeout: limitMs },
    async () => {
      await withWorld({}, async (world) => {
        const [router] = world.fleet.routers
        router!.inject({ kind: 'LowMemory', availableBytes: 4 * 2 ** 20 }, 3)
        await world.killAt(at('unanswered', 'stop-services'))
        expect(router!.state.stoppedServices).not.toEqual([])
        await world.declare({ policy: { state: 'Abort' } })
        await world.finish()
        expect(router!.state.stoppedServices).toEqual([])
        expect(router!.state.files.size).toBe(0)
        const { devices } = await world.resources()
        expect(devices.flatMap(({ status }) => status.operationRef ?? [])).toEqual([])
        for (const { history } of world.fleet.routers)
          expect(history.filter(({ type }) => type === 'FlashStarted')).toEqual([])
      })
    },
  )
})
