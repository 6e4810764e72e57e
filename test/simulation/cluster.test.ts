/** Controllers of a cluster, one of them elected, over a network that loses, doubles, delays and refuses. */
import { expect, test } from 'vitest'
import { networkFaults } from './unreliable-network.ts'
import { runWorld } from './world.ts'

const share = Number(process.env['REFLASH_SEEDS'] ?? 500) / 500
const first = Number(process.env['REFLASH_SEED'] ?? 1)
const seeds = Math.ceil(48 * share)

/** Without an answer the stop of all starts is asked for twice a second, and each object tried every 5 s at the most. */
const unansweredPerMinute = 500
const unansweredPerSecond = 50

test(
  `${seeds} clusters behind a network that fails: nothing is flashed twice, nothing is missed`,
  {
    timeout: 1_800_000,
  },
  async () => {
    const faults = new Map<string, number>()
    let terms = 0
    let flashes = 0
    for (let seed = first; seed < first + seeds; seed += 1) {
      const { violations, network, ...report } = await runWorld(seed, 1 + (seed % 3), 'Cluster')
      // REFLASH_SEED=<seed> REFLASH_SEEDS=1 runs a failing world alone.
      expect(violations, `seed ${seed}`).toEqual([])
      const { perSecond, perMinute } = network!.mostUnanswered
      expect(perSecond, `requests a second without an answer, seed ${seed}`).toBeLessThan(unansweredPerSecond)
      expect(perMinute, `requests a minute without an answer, seed ${seed}`).toBeLessThan(unansweredPerMinute)
      for (const [fault, count] of network!.faults) faults.set(fault, (faults.get(fault) ?? 0) + count)
      terms += network!.terms
      flashes += report.flashes
    }
    if (share < 1) return
    expect(networkFaults.filter((fault) => !faults.has(fault))).toEqual([])
    expect(terms).toBeGreaterThan(2 * seeds)
    expect(flashes).toBeGreaterThan(3 * seeds)
  },
)

test('the same seed does the same in a cluster', async () => {
  for (const seed of [4, 8]) {
    const [one, other] = [await runWorld(seed, 2, 'Cluster'), await runWorld(seed, 2, 'Cluster')]
    expect(other).toEqual(one)
  }
})
