/** Whole upgrades through a wire that does harm: twelve harms, in nine phases, in both directions. */
import { expect, test } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { messageOf } from '../../src/core/errors.ts'
import { isFinished } from '../../src/core/operation.ts'
import type { Connector, Session } from '../../src/ports/connector.ts'
import { nameOf } from '../../src/simulator/command.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { recordFigure } from '../support/figures.ts'
import { secondsToPlay } from '../support/rounds.ts'
import type { Direction } from '../support/toxics.ts'
import { until } from '../support/until.ts'
import { type WireHarm, wireHarms } from '../support/wire-harms.ts'
import { pace, startWiredFleet, type WiredRouter } from '../support/wired-fleet.ts'

/** What is under way on the router when the harm comes, and after how many more bytes it does. */
const phases = {
  look: { upstream: 0, downstream: 0 },
  connect: { upstream: 0, downstream: 0 },
  login: { upstream: 1000, downstream: 1000 },
  check: { upstream: 100, downstream: 50 },
  place: { upstream: 100, downstream: 50 },
  upload: { upstream: 4000, downstream: 50 },
  test: { upstream: 100, downstream: 50 },
  start: { upstream: 100, downstream: 50 },
  return: { upstream: 100, downstream: 100 },
} as const
type Phase = keyof typeof phases
const phaseNames = Object.keys(phases) as Phase[]
const directions: readonly Direction[] = ['upstream', 'downstream']

interface Case {
  harm: WireHarm
  phase: Phase
  direction: Direction
  afterBytes: number
}
/** The whole matrix, in parts that have every harm and every phase each. */
const parts = 4
const casesOf = (round: number): Case[] => {
  const random = createRandom(`bytes ${round}`)
  return wireHarms.flatMap((harm, row) =>
    phaseNames.flatMap((phase, column) =>
      (row + column) % parts === round % parts
        ? directions.map((direction) => {
            const usual = phases[phase][direction]
            // The first time at the usual byte, and then anywhere up to twice as far.
            return {
              harm,
              phase,
              direction,
              afterBytes: round < parts ? usual : random.integer(0, 2 * usual),
            }
          })
        : [],
    ),
  )
}

const nameOfCase = ({ harm, phase, direction }: Case): string => `${harm.name} ${direction} at ${phase}`

/** No upgrade takes longer unless it hangs: after a failed first look a device is left alone for ten minutes. */
const hangMs = 150_000
/** What a busy machine may take longer than a deadline. */
const slackMs = 10_000

/** Plays each case on a router of its own; does harm while what belongs to the phase is under way, and measures it. */
function createConductor(cases: readonly Case[]) {
  const told = { worstOverrunMs: 0, late: [] as string[] }
  const struck = cases.map(() => 0)
  /** The latest of each case, for whoever has to find out. */
  const errors = cases.map(() => 'no error')
  const connects = cases.map(() => 0)
  const probes = cases.map(() => 0)
  /** The harm has been done: a second try is spared. */
  const played = new Set<number>()
  const returning: (() => void)[] = []

  /** Fails the run when a deadline is passed by more than a busy machine explains. */
  const timed = async <T>(what: string, deadlineMs: number, act: () => Promise<T>): Promise<T> => {
    const begunMs = performance.now()
    try {
      return await act()
    } finally {
      const overrunMs = performance.now() - begunMs - deadlineMs / pace
      told.worstOverrunMs = Math.max(told.worstOverrunMs, overrunMs)
      if (overrunMs > slackMs) told.late.push(`${what}: ${Math.round(overrunMs)} ms past its deadline`)
    }
  }

  const decorate = (connector: Connector, wired: readonly WiredRouter[]): Connector => {
    const indexOf = ({ port }: { port: number }): number =>
      wired.findIndex(({ proxy }) => proxy.port === port)
    const strike = (index: number): (() => void) => {
      const { harm, direction, afterBytes } = cases[index]!
      return harm.strike(wired[index]!.proxy, { direction, afterBytes })
    }
    /** Does the harm of the case while `act` is under way, if it belongs to the phase. */
    const during = async <T>(index: number, phase: Phase | undefined, act: () => Promise<T>): Promise<T> => {
      if (cases[index]!.phase !== phase || played.has(index)) return act()
      played.add(index)
      const off = strike(index)
      try {
        return await act()
      } catch (error) {
        struck[index]! += 1
        throw error
      } finally {
        off()
      }
    }
    const phaseOfConnect = (index: number): Phase | undefined => {
      connects[index]! += 1
      if (connects[index] !== 2) return undefined
      return cases[index]!.phase === 'login' ? 'login' : 'connect'
    }
    const phaseOfCommand = (index: number, command: readonly string[]): Phase | undefined => {
      const name = nameOf(command)
      if (name === 'guard') return 'start'
      if (name === 'place' || name === 'upload' || name === 'test') return name
      if (name !== 'probe') return undefined
      probes[index]! += 1
      return probes[index] === 1 ? 'look' : probes[index] === 2 ? 'check' : undefined
    }
    const watched = (session: Session, index: number): Session => {
      const around = async <T>(command: readonly string[], deadlineMs: number, act: () => Promise<T>) => {
        const phase = phaseOfCommand(index, command)
        try {
          return await timed(`${nameOf(command)} in ${nameOfCase(cases[index]!)}`, deadlineMs, () =>
            during(index, phase, act),
          )
        } catch (error) {
          if (returning[index]) struck[index]! += 1
          throw error
        } finally {
          if (phase === 'start' && cases[index]!.phase === 'return') returning[index] ??= strike(index)
          else if (hasBooted(index)) returning[index]?.()
        }
      }
      return {
        ...session,
        close: () => session.close(),
        exec: (command, options, signal) =>
          around(command, options.deadlineMs, () => session.exec(command, options, signal)),
        upload: (command, content, options, signal) =>
          around(command, options.deadlineMs, () => session.upload(command, content, options, signal)),
      }
    }
    const hasBooted = (index: number): boolean =>
      eventsOf(wired[index]!.router.history, 'FlashWritten').length > 0 &&
      wired[index]!.router.state.power === 'Up'
    return {
      knock: async (target, limitMs, signal) => {
        const index = indexOf(target)
        const back = hasBooted(index)
        const answered = await timed('a knock', limitMs, () => connector.knock(target, limitMs, signal))
        if (returning[index] && back && answered === false) {
          struck[index]! += 1
          returning[index]()
        }
        return answered
      },
      connect: async (target, deadlineMs, signal) => {
        const index = indexOf(target)
        const back = hasBooted(index)
        try {
          const session = await timed(`connect in ${nameOfCase(cases[index]!)}`, deadlineMs, () =>
            during(index, phaseOfConnect(index), () => connector.connect(target, deadlineMs, signal)),
          )
          return watched(session, index)
        } catch (error) {
          errors[index] = messageOf(error)
          if (returning[index]) struck[index]! += 1
          if (back) returning[index]?.()
          throw error
        }
      },
    }
  }
  return { decorate, told, struck, errors }
}

const allHarm = wireHarms.length * phaseNames.length * directions.length

test(
  'an upgrade ends as it should, with one start, whatever the wire does to it when',
  { timeout: 2 * hangMs + 1000 * secondsToPlay() },
  async () => {
    const totals = { cases: 0, hangs: [] as string[], wrong: [] as string[], worstOverrunMs: 0 }
    const late: string[] = []
    // The nightly run plays the whole matrix, whatever its time.
    const rounds = secondsToPlay() > 0 ? parts : 1
    for (let round = 0; round < rounds; round += 1) {
      const cases = casesOf(round)
      const { decorate, told, struck, errors } = createConductor(cases)
      const fleet = await startWiredFleet(cases.length, decorate)
      try {
        const unfinished = async (): Promise<string[]> => {
          const operations = await fleet.operations()
          return fleet.wired.flatMap(({ router }, index) => {
            const own = operations.filter(({ spec }) => spec.deviceRef.name === router.name)
            return own.length > 0 && own.every(isFinished)
              ? []
              : [
                  `${nameOfCase(cases[index]!)}: ${own.at(-1)?.status.phase} ${own.at(-1)?.status.message} ${errors[index]} ${router.state.power}`,
                ]
          })
        }
        await until(
          'every upgrade has ended',
          async () => (await unfinished()).length === 0,
          hangMs,
          100,
        ).catch(async (error: unknown) => void totals.hangs.push(messageOf(error), ...(await unfinished())))
        const operations = await fleet.operations()
        for (const [index, { router }] of fleet.wired.entries()) {
          const [operation, ...more] = operations.filter(({ spec }) => spec.deviceRef.name === router.name)
          const starts = eventsOf(router.history, 'FlashStarted').length
          const isRight = operation?.status.phase === 'Succeeded' && more.length === 0 && starts === 1
          const isStruck = struck[index]! > 0 || !cases[index]!.harm.breaks
          if (!isRight || !isStruck)
            totals.wrong.push(
              `${nameOfCase(cases[index]!)}: ${operation?.status.phase} ${operation?.status.message}, ${starts} starts, struck ${struck[index]}`,
            )
        }
        expect(fleet.bugs).toEqual([])
      } finally {
        await fleet.stop()
      }
      totals.cases += cases.length
      totals.worstOverrunMs = Math.max(totals.worstOverrunMs, told.worstOverrunMs)
      late.push(...told.late)
    }
    const figure = (name: string, value: number, more: { unit?: string; goal?: string } = {}): void =>
      recordFigure({ suite: 'wire', name, value, ...more })
    figure('cases of whole upgrades', totals.cases)
    figure('the whole matrix', allHarm)
    figure('hangs', totals.hangs.length, { goal: '0' })
    figure('wrong ends, or other than one start', totals.wrong.length, { goal: '0' })
    figure('worst overrun past a deadline', Math.round(Math.max(0, totals.worstOverrunMs)), { unit: 'ms' })
    expect({ hangs: totals.hangs, wrong: totals.wrong, late }).toEqual({ hangs: [], wrong: [], late: [] })
  },
)
