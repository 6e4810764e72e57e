import { rm, writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { until } from '../support/until.ts'
import type { Met, Running } from './running.ts'
import type { StandaloneWorld } from './standalone-world.ts'

/** A way to stop all starts while a process is held at a point. */
interface Stop {
  /** Tells it to stop; resolves when that is in force, with the time by the clock of `performance`. */
  begin(world: StandaloneWorld, held: Met): Promise<number>
  /** Allows starts again. */
  end(world: StandaloneWorld): Promise<void>
}

const haltFileOf = ({ state }: StandaloneWorld): string => `${state}.HALT`

/** In force once the revision has been taken up; a process that is held while it takes up another one does that later. */
const byPolicy = (state: 'Pause' | 'Abort'): Stop => ({
  begin: async (world, held) => {
    const taken = revisionsOf(held)
    await world.declare({ policy: { state } })
    const isHeldUp = taken === 0
    if (isHeldUp) held.release()
    await until('the revision is taken up', () => revisionsOf(held) > taken || held.isOver(), 60_000)
    return performance.now()
  },
  end: (world) => world.declare(),
})

const revisionsOf = (running: Running): number =>
  running.lines().filter(({ told }) => told === 'RevisionTaken').length

export const stops = {
  HALT: {
    begin: async (world) => {
      await writeFile(haltFileOf(world), '')
      return performance.now()
    },
    end: (world) => rm(haltFileOf(world)),
  },
  Pause: byPolicy('Pause'),
  Abort: byPolicy('Abort'),
  SIGTERM: {
    begin: async (_, { child }) => {
      expect(child.kill('SIGTERM')).toBe(true)
      return performance.now()
    },
    end: async () => {},
  },
} satisfies Record<string, Stop>

export type StopName = keyof typeof stops
