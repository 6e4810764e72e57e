/** Controllers of a cluster over a network that loses, doubles, delays and refuses what they ask and hear. */
import { expect, onTestFinished, test } from 'vitest'
import { recordFigure } from '../support/figures.ts'
import { networkFaults, type NetworkFault } from './unreliable-network.ts'
import { runWorld } from './world.ts'

const share = Number(process.env['REFLASH_SEEDS'] ?? 500) / 500
const first = Number(process.env['REFLASH_SEED'] ?? 1)

/** The stop of all starts is asked for twice a second, and each object tried every 5 s, at the most. */
const mostUnanswered = { perSecond: 50, perMinute: 500 }
/** Of one controller about one router, in an hour: a few dozen while it is upgraded. Who fights writes thousands. */
const writesPerHour = 100

test.each([
  ['which elect one of them', 'Cluster', 60],
  ['which all lead', 'Unelected', 10],
] as const)('controllers %s flash nothing twice and miss nothing', { timeout: 1_800_000 }, async (...of) => {
  const [which, home, count] = of
  const seeds = Math.ceil(count * share)
  const faults = new Set<NetworkFault>()
  let [bad, terms, flashes, crashes, harms] = [0, 0, 0, 0, 0]
  const record = (name: string, value: number, goal?: string): void =>
    recordFigure({
      suite: 'cluster-simulation',
      name: `${name} of controllers ${which}`,
      value,
      ...(goal !== undefined && { goal }),
    })
  onTestFinished(() => {
    record('violations', bad, '0')
  })
  for (let seed = first; seed < first + seeds; seed += 1) {
    const controllers = home === 'Cluster' ? 1 + (seed % 3) : 2 + (seed % 2)
    const { violations, network, ...report } = await runWorld(seed, { controllers, home })
    bad += violations.length
    // REFLASH_SEED=<seed> REFLASH_SEEDS=1 runs a failing world alone.
    expect(violations, `seed ${seed}`).toEqual([])
    const asked = network!.mostUnanswered
    expect(asked.perSecond, `requests a second, seed ${seed}`).toBeLessThan(mostUnanswered.perSecond)
    expect(asked.perMinute, `requests a minute, seed ${seed}`).toBeLessThan(mostUnanswered.perMinute)
    const writes = report.writes / (24 * report.virtualDays * controllers)
    expect(writes, `writes an hour, seed ${seed}`).toBeLessThan(writesPerHour)
    for (const [fault, times] of network!.faults) {
      faults.add(fault)
      harms += times
    }
    terms += network!.terms
    flashes += report.flashes
    crashes += report.crashes
  }
  record('worlds', seeds)
  record('harms of the network', harms)
  record('flashes', flashes)
  record('crashes', crashes)
  record('terms', terms)
  if (share < 1) return
  expect(networkFaults.filter((fault) => !faults.has(fault))).toEqual([])
  expect(terms).toBeGreaterThan(2 * seeds)
  expect(flashes).toBeGreaterThan(3 * seeds)
  expect(crashes).toBeGreaterThan(seeds / 2)
})

test('the same seed does the same in a cluster', async () => {
  const cluster = { controllers: 2, home: 'Cluster' } as const
  for (const seed of [4, 8]) expect(await runWorld(seed, cluster)).toEqual(await runWorld(seed, cluster))
})
