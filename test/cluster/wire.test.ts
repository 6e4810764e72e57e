/** A controller whose wire to the API server does harm at one moment of an upgrade: it ends well, with one flash. */
import { afterAll, expect, test, vi } from 'vitest'
import { describeCluster } from '../support/cluster-suite.ts'
import { recordFigure } from '../support/figures.ts'
import { secondsToPlay } from '../support/rounds.ts'
import { wireHarms } from '../support/wire-harms.ts'
import { playWire, wireCases, wireRounds } from './wire-cases.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

test.each([
  ['every harm', wireHarms],
  ['every harm that breaks a connection', wireHarms.filter(({ breaks }) => breaks)],
])('%s meets each moment once, and all of them meet both directions', (_, harms) => {
  const cases = Array.from({ length: wireRounds }, (__, round) => wireCases(round, harms)).flat()
  const pairs = new Set(cases.map(({ harm, moment }) => `${harm.name} at ${moment}`))
  expect(pairs.size).toBe(wireRounds * harms.length)
  const directed = new Set(
    cases.flatMap(({ harm, moment, direction }) => [`${harm.name} ${direction}`, `${moment} ${direction}`]),
  )
  expect(directed.size).toBe(2 * (harms.length + wireRounds))
})

describeCluster('the harms of a wire to the API server', (cluster) => {
  // Every harm at every moment takes a while: CI plays those that break a connection, each at one moment.
  const isNightly = secondsToPlay() > 0
  const harms = wireHarms.filter(({ breaks }) => isNightly || breaks)
  const rounds = Array.from({ length: isNightly ? wireRounds : 1 }, (_, round) => round)
  const played = { cases: 0, partitioned: 0, wrong: 0, overrunMs: 0 }
  afterAll(() => {
    const figure = (name: string, value: number, goal?: string): void =>
      recordFigure({ suite: 'api-server', name, value, ...(goal && { goal }) })
    figure('cases of whole upgrades', played.cases)
    figure('the whole matrix', wireHarms.length * wireRounds)
    figure('starts while partitioned', played.partitioned, '0')
    figure('wrong ends, or other than one flash', played.wrong, '0')
    recordFigure({
      suite: 'api-server',
      name: 'worst overrun past the limit of a request',
      value: played.overrunMs,
      unit: 'ms',
    })
  })
  test.each(rounds)('each at a moment of its own, round %i', async (round) => {
    const { cases, partitioned, wrong, overrunMs } = await playWire(cluster, round, harms)
    played.cases += cases
    played.partitioned += partitioned.length
    played.wrong += wrong.length
    played.overrunMs = Math.max(played.overrunMs, Math.round(overrunMs))
    expect({ partitioned, wrong }).toEqual({ partitioned: [], wrong: [] })
  })
})
