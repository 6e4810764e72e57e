/** The real program as an operator meets it: one process for each state, and an end that strands nothing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { eventsOf } from '../../src/simulator/history.ts'
import { until } from '../support/until.ts'
import { expectRest, scenarios } from './scenarios.ts'
import { withWorld } from './standalone-world.ts'
import { target, type World } from './world.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const limitMs = 120_000
/** Past this a service manager would not wait for it much longer. */
const patienceMs = 9000

interface Program {
  pid: number
  output(): string
  kill(signal: NodeJS.Signals): void
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Runs the command line against a world, and ends it with the test whatever happens. */
async function withProgram<T>(args: readonly string[], body: (program: Program) => Promise<T>): Promise<T> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, REFLASH_LISTEN: 'none' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => void (output += chunk.toString()))
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, signal: child.signalCode }))
  try {
    return await body({ pid: child.pid!, output: () => output, kill: (signal) => child.kill(signal), ended })
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

const finished = (args: readonly string[]): Promise<{ code: number | null; output: string }> =>
  withProgram(args, async (program) => {
    const { code } = await program.ended
    return { code, output: program.output() }
  })

const facts = (world: World, type: Parameters<typeof eventsOf>[1]): number =>
  world.fleet.routers.reduce((sum, { history }) => sum + eventsOf(history, type).length, 0)

describe.concurrent('two processes on one state', () => {
  test('the second says who has it and exits with 75; the first goes on', { timeout: limitMs }, async () => {
    await withWorld({}, async (world) => {
      await withProgram(world.runArguments, async (first) => {
        await until('the first has started', () => first.output().includes('"Started"'), 20_000)
        const second = await finished([...world.runArguments, '--once'])
        expect(second.code, second.output).toBe(75)
        expect(second.output).toBe(
          `error: StateLocked: state file ${world.state} is in use by process ${first.pid}: one process at a time\n`,
        )
        await until(
          'the first has upgraded them all',
          () =>
            world.fleet.routers.every(
              ({ state }) => state.power === 'Up' && state.release.revision === target.revision,
            ),
          60_000,
        )
        first.kill('SIGTERM')
        expect(await first.ended, first.output()).toEqual({ code: 0, signal: null })
      })
      await expectRest(world, scenarios.plain)
    })
  })

  test('a lock that a killed process left behind keeps nobody out', { timeout: limitMs }, async () => {
    await withWorld({}, async (world) => {
      await withProgram(world.runArguments, async (first) => {
        await until('the first has started', () => first.output().includes('"Started"'), 20_000)
        first.kill('SIGKILL')
        expect((await first.ended).signal).toBe('SIGKILL')
      })
      await expectRest(world, scenarios.plain)
    })
  })
})

describe.concurrent('told to stop', () => {
  const moments: [string, (world: World) => boolean][] = [
    ['before it has looked at anything', () => true],
    ['while it prepares an upload', (world) => facts(world, 'Connected') > 2],
    ['during the test on the device', (world) => facts(world, 'Uploaded') > 0],
    ['while a start is on its way', (world) => world.fleet.routers.some(({ state }) => state.guards > 0)],
    ['right after a start', (world) => facts(world, 'FlashStarted') > 0],
    ['while a router reboots', (world) => facts(world, 'WentDown') > 0],
    ['when a router is back', (world) => facts(world, 'Booted') > world.fleet.routers.length],
  ]
  const signals = ['SIGTERM', 'SIGINT'] as const
  const cases = moments.map(([moment, isNow], index): [string, NodeJS.Signals, (world: World) => boolean] => [
    moment,
    signals[index % signals.length]!,
    isNow,
  ])

  test.each(cases)(
    '%s by %s, it exits with 0 soon, and a later run ends the work',
    { timeout: limitMs },
    async (_, signal, isNow) => {
      await withWorld({}, async (world) => {
        await withProgram(world.runArguments, async (program) => {
          await until('it has started', () => program.output().includes('"Started"'), 20_000)
          await until('the moment has come', () => isNow(world), 60_000)
          const toldMs = performance.now()
          program.kill(signal)
          expect(await program.ended, program.output()).toEqual({ code: 0, signal: null })
          expect(performance.now() - toldMs).toBeLessThan(patienceMs)
        })
        const later = await finished([...world.runArguments, '--once'])
        expect(later.code, later.output).toBe(0)
        await expectRest(world, scenarios.plain)
      })
    },
  )

  test('twice, it exits at once with the code of the signal', { timeout: limitMs }, async () => {
    await withWorld({}, async (world) => {
      await withProgram(world.runArguments, async (program) => {
        await until('a router reboots', () => facts(world, 'WentDown') > 0, 60_000)
        program.kill('SIGTERM')
        program.kill('SIGTERM')
        const { code, signal } = await program.ended
        // Both may arrive as one.
        expect([0, 143], `${code} ${signal}`).toContain(code)
      })
      await expectRest(world, scenarios.plain)
    })
  })
})
