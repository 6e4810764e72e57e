/** Fleets at rest, of which all routers may be upgraded from one moment on: nobody waits for the next look at a device. */
import { expect, test } from 'vitest'
import type { Device } from '../../src/api/resources.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { aim, edit, holdOrRelease, isNewest, takeOutOrIn, type Hands } from './operator.ts'
import { playWorld, type Errand, type ErrandHands } from './world.ts'

const seeds = 10

const aimBack = (hands: Hands): Promise<void> =>
  aim(hands, (builds) => builds.findLast((build) => !isNewest(build)))

const changeAll =
  (change: (device: Device) => Device) =>
  async ({ store }: Hands): Promise<void> => {
    for (const device of (await store.list('Device')).items) await store.apply(change(device))
  }

const inOrder =
  (...steps: ((hands: ErrandHands) => Promise<void>)[]) =>
  async (hands: ErrandHands): Promise<void> => {
    for (const step of steps) await step(hands)
  }

const errands: Record<string, Errand> = {
  'the policy wants another build': { release: aimBack },
  'a Pause is lifted': {
    prepare: inOrder((hands) => edit(hands, { state: 'Pause' }), aimBack),
    release: (hands) => edit(hands, { state: 'Run' }),
  },
  'HALT is lifted': {
    prepare: inOrder(async ({ setHalted }) => setHalted(true), aimBack),
    release: async ({ setHalted }) => setHalted(false),
  },
  'devices are no longer held': {
    prepare: inOrder(changeAll(holdOrRelease), aimBack),
    release: changeAll(holdOrRelease),
  },
  'devices come into the policy': {
    prepare: inOrder(changeAll(takeOutOrIn), aimBack),
    release: changeAll(takeOutOrIn),
  },
  'a controller which has just begun gets its images': {
    prepare: inOrder(({ restartWithoutImages }) => restartWithoutImages(), aimBack),
    release: async () => {},
  },
  'wrong addresses are mended': {
    prepare: inOrder(changeAll(addressed('172')), aimBack),
    release: changeAll(addressed('10')),
  },
}

/** Nobody answers outside of 10.0.0.0/8. */
function addressed(net: '10' | '172'): (device: Device) => Device {
  return ({ spec, ...device }) => ({
    ...device,
    spec: { ...spec, addresses: spec.addresses.map((address) => address.replace(/^\d+/, net)) },
  })
}

test.each(Object.entries(errands))('when %s, the whole fleet goes ahead at once', async (_, errand) => {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const world = { isQuiet: true, controllers: 1, crashes: 0, errand }
    const { past, report } = await playWorld(seed, world)
    expect(report.violations, `seed ${seed}`).toEqual([])
    for (const { name, history } of past.routers)
      expect(eventsOf(history, 'FlashWritten'), `${name}, seed ${seed}`).toHaveLength(2)
  }
})
