import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { Fleet } from '../../src/controllers/fleet.ts'
import type { Ports } from '../../src/controllers/ports.ts'
import { standAside } from '../../src/controllers/stand-aside.ts'
import { ReflashError } from '../../src/core/errors.ts'
import { operation } from '../support/core-objects.ts'

const key = { namespace: 'default', name: 'ap-1-aaaaaaaa-1' }

/** One controller and one operation, which each of `turns` works on as it says. */
function createSide() {
  const clock = createManualClock()
  const fleet = new Fleet(clock)
  let version = 0
  const change = (): string => {
    version += 1
    const resourceVersion = String(version)
    const object = operation(key.name)
    fleet.applyEvent({
      type: 'Modified',
      object: { ...object, metadata: { ...object.metadata, resourceVersion } },
    })
    return resourceVersion
  }
  change()
  let turn: (onWritten: (version: string) => void) => void = () => {}
  let turns = 0
  const reconcile = standAside(async (_key, _ports, _signal, onWritten) => {
    turns += 1
    turn(onWritten)
    return {}
  })
  return {
    clock,
    change,
    /** Somebody else has written first. */
    lose() {
      turn = () => {
        throw new ReflashError('Conflict', 'somebody was faster')
      }
      return this.run()
    },
    /** This controller writes. */
    win() {
      turn = (onWritten) => onWritten(change())
      return this.run()
    },
    run: () => reconcile(key, { clock, fleet } as unknown as Ports, new AbortController().signal),
    turns: () => turns,
  }
}

test('who has lost a write waits until the operation has been quiet, twice as long after each race', async () => {
  const side = createSide()
  expect(await side.lose()).toEqual({ after: 10_000 })
  await side.clock.advance(6000)
  side.change()
  expect(await side.run()).toEqual({ after: 10_000 })
  expect(side.turns()).toBe(1)
  await side.clock.advance(10_000)
  expect(await side.lose()).toEqual({ after: 20_000 })
  expect(side.turns()).toBe(2)
})

test('who has won the next race is not held up by its own writes, but by those of others', async () => {
  const side = createSide()
  await side.lose()
  await side.clock.advance(10_000)
  expect(await side.win()).toEqual({})
  expect(await side.win()).toEqual({})
  side.change()
  expect(await side.win()).toEqual({ after: 10_000 })
  expect(side.turns()).toBe(3)
})
