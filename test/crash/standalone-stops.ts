import { rm, writeFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { until } from '../support/until.ts'
import { endsWell, type Running } from './running.ts'
import type { StandaloneWorld } from './standalone-world.ts'
import type { Stop, StopName } from './stops.ts'

/** A run ends by itself when nothing moves any more. */
const rests: Stop<StandaloneWorld>['rests'] = (_, held) => endsWell(held)

const haltFileOf = ({ state }: StandaloneWorld): string => `${state}.HALT`

/** In force once the revision has been taken up; a process that is held while it takes up another one does that later. */
const byPolicy = (state: 'Pause' | 'Abort'): Stop<StandaloneWorld> => ({
  begin: async (world, held) => {
    const taken = revisionsOf(held)
    await world.declare({ policy: { state } })
    const isHeldUp = taken === 0
    if (isHeldUp) held.release()
    await until('the revision is taken up', () => revisionsOf(held) > taken || held.isOver(), 60_000)
    return performance.now()
  },
  rests,
  end: (world) => world.declare(),
})

const revisionsOf = (running: Running): number =>
  running.lines().filter(({ told }) => told === 'RevisionTaken').length

export const standaloneStops: Record<StopName, Stop<StandaloneWorld>> = {
  HALT: {
    begin: async (world) => {
      await writeFile(haltFileOf(world), '')
      return performance.now()
    },
    rests,
    end: (world) => rm(haltFileOf(world)),
  },
  Pause: byPolicy('Pause'),
  Abort: byPolicy('Abort'),
  SIGTERM: {
    begin: async (_, { child }) => {
      expect(child.kill('SIGTERM')).toBe(true)
      return performance.now()
    },
    rests,
    end: async () => {},
  },
}
