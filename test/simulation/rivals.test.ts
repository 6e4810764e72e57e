/** Several controllers that all believe they lead: no election, late news, and routers that misbehave. */
import { expect, test } from 'vitest'
import { runSeeds } from './run-seeds.ts'

const share = Number(process.env['REFLASH_SEEDS'] ?? 500) / 500
const first = Number(process.env['REFLASH_SEED'] ?? 1)

/** Each probe is a write or two, and a fault may cost a few more; who fights writes ten thousands. */
const writesPerDay = 400

test.each([
  [2, 8],
  [3, 4],
])('%i controllers in %i worlds flash nothing twice', { timeout: 600_000 }, async (controllers, seeds) => {
  const reports = await runSeeds({ first, count: Math.ceil(seeds * share), controllers })
  for (const { seed, violations, writes, virtualDays } of reports) {
    expect(violations, `seed ${seed}`).toEqual([])
    expect(writes, `writes of seed ${seed}`).toBeLessThan(writesPerDay * controllers * virtualDays)
  }
})
