import { expect, test } from 'vitest'
import { faultKinds } from '../../src/simulator/faults.ts'
import { recordFigure } from '../support/figures.ts'
import { secondsToPlay } from '../support/rounds.ts'
import { sometimes } from './coverage.ts'
import { actNames } from './operator.ts'
import { hourMs } from './past.ts'
import { runSeeds } from './run-seeds.ts'
import type { Report } from './world.ts'

/** Fewer of them need not meet everything. */
const enough = 5000
const seeds = Number(process.env['REFLASH_SEEDS'] ?? enough)
/** So many do nearly: the rarest situations come about in one world of hundreds. */
const mostMissedOf = (count: number): number => (count >= enough ? 0 : 5)
/** In so many of them each situation has to come about. */
const oftenEnough = 50
const first = Number(process.env['REFLASH_SEED'] ?? 1)
const batch = 100

/** Longer than any wait: up to twelve hours until somebody is asked again, the attempts, and a day of quarantine. */
const settleWithinMs = 40 * hourMs

/** What many worlds have come to, without the worlds. */
const total = {
  seeds: 0,
  /** How long as many as are enough have taken. */
  usualMs: 0,
  violations: 0,
  virtualDays: 0,
  flashes: 0,
  crashes: 0,
  endings: 0,
  slowestMs: 0,
  faults: new Map<string, number>(),
  acts: new Map<string, number>(),
  outcomes: new Map<string, number>(),
  coverage: new Map<string, number>(),
}

const addTo = (sums: Map<string, number>, counts: Iterable<readonly [string, number]>): void => {
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count)
}

function add(report: Report): void {
  total.seeds += 1
  total.virtualDays += report.virtualDays
  total.flashes += report.flashes
  total.crashes += report.crashes
  total.endings += report.endings
  total.slowestMs = Math.max(total.slowestMs, report.settlingMs)
  addTo(total.faults, report.faults)
  addTo(total.acts, report.acts)
  addTo(total.outcomes, report.outcomes)
  addTo(
    total.coverage,
    report.coverage.map((name) => [name, 1]),
  )
}

const sum = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((all, count) => all + count, 0)

/** Plays enough seeds, and then more of them as long as a longer run has time. */
async function playAll(): Promise<void> {
  const startedMs = performance.now()
  await playNext(seeds)
  total.usualMs = performance.now() - startedMs
  const endsAt = performance.now() + secondsToPlay() * 1000
  while (performance.now() < endsAt) await playNext(batch)
}

async function playNext(count: number): Promise<void> {
  for (const report of await runSeeds({ first: first + total.seeds, count })) {
    total.violations += report.violations.length
    // REFLASH_SEED=<seed> REFLASH_SEEDS=1 plays a failing world alone.
    expect(report.violations, `seed ${report.seed}`).toEqual([])
    add(report)
  }
}

const worldsWith = (name: string): number => total.coverage.get(name) ?? 0

function recordAll(): void {
  const names = Object.keys(sometimes)
  const hit = names.filter((name) => total.coverage.has(name)).length
  const record = (name: string, value: number, more: { unit?: string; goal?: string } = {}): void =>
    recordFigure({ suite: 'simulation', name, value, ...more })
  record('worlds', total.seeds)
  record('violations', total.violations, { goal: '0' })
  record('time of all devices', Math.round(total.virtualDays / 365.25), { unit: 'years' })
  record('flashes', total.flashes)
  record('crashes', total.crashes)
  record('controllers told to end', total.endings)
  record('faults of routers that happened', sum(total.faults))
  record('acts of operators', sum(total.acts))
  record('situations met', hit, { goal: String(names.length) })
  record('worlds that met the rarest of them', Math.min(...names.map(worldsWith)), {
    goal: `at least ${oftenEnough}`,
  })
  record(`time of the first ${seeds}`, Math.round(total.usualMs / 1000), {
    unit: 's',
    ...(seeds === enough && { goal: 'at most 240, on two cores' }),
  })
  record('slowest to come to rest', Math.round(total.slowestMs / hourMs), { unit: 'h', goal: 'at most 40' })
}

test(
  `${seeds} worlds of routers that misbehave: none is flashed twice, none is lied about`,
  { timeout: 3_600_000 + secondsToPlay() * 2000 },
  async () => {
    try {
      await playAll()
    } finally {
      recordAll()
    }
    expect(total.slowestMs).toBeLessThan(settleWithinMs)
    if (total.seeds < 500) return
    // A simulation that meets nothing proves nothing.
    const missed = (all: readonly string[], met: ReadonlyMap<string, number>): string[] =>
      all.filter((name) => !met.has(name))
    expect(missed(faultKinds, total.faults)).toEqual([])
    expect(missed(actNames, total.acts)).toEqual([])
    const unmet = missed(Object.keys(sometimes), total.coverage)
    expect(unmet.length, unmet.join(', ')).toBeLessThanOrEqual(mostMissedOf(total.seeds))
    const rare = Object.keys(sometimes).filter((name) => worldsWith(name) < oftenEnough)
    if (total.seeds >= enough) expect(rare.map((name) => `${name}: ${worldsWith(name)}`)).toEqual([])
    expect(missed(['Succeeded', 'RolledBack', 'Lost', 'WrongVersion', 'Rejected'], total.outcomes)).toEqual(
      [],
    )
    expect(total.crashes).toBeGreaterThan(total.seeds / 2)
    expect(total.endings).toBeGreaterThan(total.seeds / 10)
    expect(total.flashes).toBeGreaterThan(2 * total.seeds)
    expect(total.virtualDays / 365.25).toBeGreaterThan(total.seeds / 20)
  },
)
