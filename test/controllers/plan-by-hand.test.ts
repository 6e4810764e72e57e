import { expect, test } from 'vitest'
import { planFleet } from '../../src/controllers/plan.ts'
import { createToyFleet, manifest } from '../support/toy-fleet.ts'

test('a plan says what an operation that was written by hand would do', async () => {
  const world = await createToyFleet({ routers: 2, policy: { state: 'Plan' } })
  await world.declare()
  const { ports, stop } = await world.start()
  await world.clock.advance(60_000)
  world.halt('HALT exists')
  await world.store.apply(
    manifest('UpgradeOperation', 'mine', { deviceRef: { name: 'ap-1' }, buildRef: { name: 'new' } }),
  )
  await world.clock.advance(60_000)
  const plan = async () => (await planFleet(ports.fleet, ports.governor)).devices
  expect((await plan())[0]).toMatchObject({ action: 'Blocked', reason: 'Halted', target: 'new' })
  expect((await plan())[1]).toMatchObject({ action: 'Blocked', reason: 'PolicyPlanned' })
  const { governor } = ports
  const unhalted = { ...governor, stop: async () => undefined }
  expect((await planFleet(ports.fleet, unhalted)).devices[0]).toMatchObject({
    action: 'Upgrade',
    message: 'operation mine starts it now',
  })
  await stop()
})
