import { expect, test } from 'vitest'
import { faultKinds } from '../../src/simulator/faults.ts'
import { runSeeds } from './run-seeds.ts'
import { runWorld, type Report } from './world.ts'

const seeds = Number(process.env['REFLASH_SEEDS'] ?? 500)
const first = Number(process.env['REFLASH_SEED'] ?? 1)

const sum = (
  reports: readonly Report[],
  pick: (report: Report) => Map<string, number>,
): Map<string, number> => {
  const total = new Map<string, number>()
  for (const report of reports)
    for (const [name, count] of pick(report)) total.set(name, (total.get(name) ?? 0) + count)
  return total
}

test(
  `${seeds} worlds of routers that misbehave: none is flashed twice, none is lied about`,
  { timeout: 1_800_000 },
  async () => {
    const reports = await runSeeds({ first, count: seeds })
    expect(reports).toHaveLength(seeds)
    // REFLASH_SEED=<seed> REFLASH_SEEDS=1 runs a failing world alone.
    for (const { seed, violations } of reports) expect(violations, `seed ${seed}`).toEqual([])
    const faults = sum(reports, (report) => report.faults)
    const outcomes = sum(reports, (report) => report.outcomes)
    const crashes = reports.reduce((total, report) => total + report.crashes, 0)
    if (seeds < 500) return
    // A simulation that meets nothing proves nothing.
    expect([...faultKinds].filter((kind) => (faults.get(kind) ?? 0) === 0)).toEqual([])
    expect(crashes).toBeGreaterThan(200)
    for (const outcome of ['Succeeded', 'RolledBack', 'Lost', 'WrongVersion', 'Rejected']) {
      expect(outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(0)
    }
    expect(reports.reduce((total, report) => total + report.flashes, 0)).toBeGreaterThan(1000)
  },
)

test('the same seed does the same', async () => {
  for (const seed of [3, 17, 42]) expect((await runWorld(seed)).hash).toBe((await runWorld(seed)).hash)
})
