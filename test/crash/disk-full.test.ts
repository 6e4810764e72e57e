/**
 * The real process, with its state on a disk that is full from one point after the other on: it says so and stays, starts
 * nothing whose intent it cannot write, and when there is room again it says what came of the flashes that were under
 * way and brings the rest to its end. Some of the points; REFLASH_KILLS=all plays every one.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { eventsOf } from '../../src/simulator/history.ts'
import type { Router } from '../../src/simulator/router.ts'
import { recordFigure } from '../support/figures.ts'
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'
import { until } from '../support/until.ts'
import { points } from './points.ts'
import { bugsOf, endsWell, untilOf, type Running } from './running.ts'
import { expectRest, scenarios } from './scenarios.ts'
import { withWorld, type StandaloneWorld } from './standalone-world.ts'
import { startVictim } from './start-victim.ts'
import { countViolations } from './violations.ts'
import { nameOfPoint, type Point } from './world.ts'

const limitMs = 120_000
const diskBytes = 4 * 2 ** 20
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
vi.setConfig({ maxConcurrency: 12 })

const chosen = ({ when, name, nth = 1 }: Point, index: number): boolean =>
  process.env['REFLASH_KILLS'] === 'all' ||
  name === 'guard' ||
  (nth === 1 && when === 'before' && /^(phase|create|claim|free)/.test(name)) ||
  index % 6 === 0
const cases = points.plain.filter(chosen).map((point): [string, Point] => [nameOfPoint(point), point])

const saysSo = (running: Running): boolean => running.lines().some(({ told }) => told === 'StateFull')
/** Whether its flash is over, if it was ever started. */
const isSettled = ({ history, state }: Router): boolean =>
  eventsOf(history, 'FlashStarted').length === 0 ||
  (state.power === 'Up' && eventsOf(history, 'FlashWritten').length > 0)

describe
  .runIf(process.getuid?.() === 0)
  .concurrent('a disk that is full (needs root, to mount a small one)', () => {
    let fullDisks = 0
    const { counted, violations } = countViolations()
    afterAll(() => {
      const suite = 'disk-full'
      recordFigure({ suite, name: 'full disks', value: fullDisks })
      recordFigure({ suite, name: 'starts without intent and lost verdicts', value: violations(), goal: '0' })
    })

    async function onSmallDisk(
      body: (world: StandaloneWorld, disk: SmallDisk) => Promise<void>,
    ): Promise<void> {
      let disk: SmallDisk
      await counted(() =>
        withWorld(
          {},
          (world) => body(world, disk),
          async (home) => {
            disk = await mountSmallDisk(home, diskBytes)
            return () => disk.unmount()
          },
        ),
      )
      fullDisks += 1
    }

    test.each(cases)('from %s', { timeout: limitMs }, async (_, point) => {
      await onSmallDisk(async (world, disk) => {
        const held = await world.meetAt(point, 'held')
        disk.fill()
        held.release()
        await untilOf(held, 'it says so', () => held.isOver() || saysSo(held), 60_000)
        await until('flashes under way are over', () => world.fleet.routers.every(isSettled), 60_000)
        // With nothing left to write it may have ended.
        if (!held.isOver()) expect(bugsOf({ lines: held.lines() })).toEqual([])
        disk.free()
        await endsWell(held)
        await expectRest(world, scenarios.plain)
      })
    })

    test('at the start of the process: it says so and exits with 74', { timeout: limitMs }, async () => {
      await onSmallDisk(async (world, disk) => {
        disk.fill()
        const refused = startVictim(main, [...world.runArguments, '--once'], world.folder)
        await refused.closed
        expect(refused.child.exitCode, refused.output.stderr).toBe(74)
        expect(refused.output.stderr).toMatch(/^error: State\w+: .*(disk is full|ENOSPC)/)
        disk.free()
        await expectRest(world, scenarios.plain)
      })
    })
  })
