/**
 * The real process under strace, and a disk that keeps only what was flushed: wherever the power goes, every command that
 * changes a device finds its intent there, and every write that the process was told is kept.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { readState, type StateSnapshot } from '../../src/adapters/sqlite/state.ts'
import { messageOf } from '../../src/core/errors.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import type { Fault } from '../../src/simulator/faults.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { createWorldFleet, faultsOfStart, whatMatters } from '../crash/world.ts'
import { startChild } from '../support/children.ts'
import { readTrace, underStrace, type DiskStep } from '../support/disk-trace.ts'
import { recordFigure } from '../support/figures.ts'
import { createFragileDisk, type Leaves } from '../support/fragile-disk.ts'
import { requires } from '../support/requires.ts'
import { secondsToPlay } from '../support/rounds.ts'
import { idOf, type Kept, type Sent } from './power-cut-words.ts'

interface Scenario {
  name: string
  faults?: Fault[]
  /** A first run is killed before its first start; the second one begins with what that left. */
  again?: boolean
  /** How often a flash is started. A start that a busy machine brings too late is refused, and sent again. */
  starts: number
}
const scenarios: readonly Scenario[] = [
  { name: 'a plain upgrade', starts: 2 },
  { name: 'a start that dies and is done again', faults: [{ kind: 'StartDies' }], starts: 3 },
  { name: 'a run after a kill', again: true, starts: 2 },
]

/** What a run did to its state, and the disk as it was before. */
interface Traced {
  steps: DiskStep[]
  disk: ReturnType<typeof createFragileDisk>
  nameOf: (address: string) => string
  /** What the guards of the routers have answered. */
  verdicts: number[]
}

const notQuiteDurable = fileURLToPath(new URL('not-quite-durable.ts', import.meta.url))

/** The guard's word for a start that comes after its time. */
const tooLate = 93

/** Commands after which a device is no longer as it was. */
const changing = new Set(['place', 'stop-services', 'upload', 'adopt', 'test', 'guard'])

/** Runs Reflash over routers that live here, with every write of its state seen. */
async function trace(root: string, { faults = [], again = false }: Scenario, lying = false): Promise<Traced> {
  const fleet = createWorldFleet({})
  for (const fault of faults) fleet.routers[0]!.inject(fault)
  const served = await serveFleet(fleet)
  const folder = join(root, 'state')
  mkdirSync(folder)
  const [directory, state, cache] = [join(root, 'fleet'), join(folder, 'state.db'), join(root, 'cache')]
  await fleet.writeManifests(directory)
  const run = async (under: string[], ...more: string[]): Promise<void> => {
    const child = startChild('../stores/power-cut-victim.ts', [directory, state, cache, ...more], { under })
    const lines = await child.rest()
    if (more.length === 0) expect(JSON.parse(lines.at(-1)!)).toMatchObject({ ending: { kind: 'Converged' } })
  }
  try {
    if (again) await run(['env'], 'dies')
    const disk = createFragileDisk(folder)
    const file = join(root, 'trace')
    await run([...(lying ? ['env', `NODE_OPTIONS=--import=${notQuiteDurable}`] : []), ...underStrace(file)])
    const steps = [...readTrace(readFileSync(file, 'latin1'))]
    const nameOf = (address: string): string =>
      fleet.routers[fleet.addresses.findIndex((each) => each.address === address)]!.name
    const verdicts = fleet.routers.flatMap(({ history }) =>
      eventsOf(history, 'Guard').map(({ verdict }) => verdict),
    )
    return { steps, disk, nameOf, verdicts }
  } finally {
    await served.close()
  }
}

/** How often each cut is tried that leaves a part of what was not flushed: another part each time. */
const tears = secondsToPlay() > 0 ? 20 : 1

interface Toll {
  cuts: number
  /** Commands sent that change a device, and starts among them. */
  effects: number
  starts: number
  /** Effects that a power cut leaves without their intent. */
  withoutIntent: string[]
  /** Writes that were kept and are not there, and files that cannot be read. */
  lost: string[]
}

/** Cuts the power at every flush and at every command, and looks at what is left. */
async function cutEverywhere({ steps, disk, nameOf }: Traced, into: string): Promise<Toll> {
  const random = createRandom('power')
  const toll: Toll = { cuts: 0, effects: 0, starts: 0, withoutIntent: [], lost: [] }
  const kept = new Map<string, number>()

  const tear = async (): Promise<void> => {
    for (let nth = 0; nth < tears; nth += 1) await cut('torn')
  }
  const cut = async (leaves: Leaves): Promise<StateSnapshot | undefined> => {
    toll.cuts += 1
    disk.cutPower(into, leaves, random)
    try {
      const left = await readState(join(into, 'state.db'))
      const versions = new Map(
        left.resources.map((each) => [idOf(each), Number(each.metadata.resourceVersion)]),
      )
      for (const [id, version] of kept)
        if ((versions.get(id) ?? 0) < version) toll.lost.push(`cut ${toll.cuts}: ${id} of version ${version}`)
      return left
    } catch (error) {
      toll.lost.push(`cut ${toll.cuts}: ${messageOf(error)}`)
      return undefined
    }
  }
  const judge = (left: StateSnapshot | undefined, { sent, address, args }: Sent): void => {
    toll.effects += 1
    if (sent === 'guard') toll.starts += 1
    const device = nameOf(address)
    const { devices, operations } = whatMatters(left?.resources ?? [])
    const claimedFor = devices.find(({ metadata }) => metadata.name === device)?.status.operationRef?.name
    const isClaimed = operations.some(({ metadata }) => metadata.name === claimedFor)
    const faults = sent === 'guard' ? faultsOfStart({ devices, operations }, device, args) : []
    if (!isClaimed) faults.push(`${sent} is sent to ${device}, which nobody has claimed`)
    if (faults.length > 0) toll.withoutIntent.push(faults.join(', '))
  }

  for (const step of steps) {
    if (step.kind === 'sync' && disk.isFlushedBy(step.path)) {
      await cut('flushed')
      await tear()
    }
    disk.apply(step)
    if (step.kind !== 'say') continue
    const said = JSON.parse(step.line) as Partial<Kept & Sent>
    if (said.kept !== undefined) kept.set(said.kept, Number(said.version))
    if (said.sent === undefined || !changing.has(said.sent)) continue
    judge(await cut('flushed'), said as Sent)
    await tear()
  }
  return toll
}

requires('strace')('a power cut', () => {
  let root = ''
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'reflash-power-'))
  })
  afterAll(() => rmSync(root, { recursive: true, force: true }))
  let runs = 0
  /** Cuts keep this process busy, and the routers of all runs live in it: no cut before the last run has ended. */
  const traces: Promise<unknown>[] = []
  const play = async (scenario: Scenario, lying = false): Promise<Toll> => {
    const own = join(root, String((runs += 1)))
    mkdirSync(own)
    const tracing = trace(own, scenario, lying)
    traces.push(tracing)
    const traced = await tracing
    await Promise.allSettled(traces)
    const toll = await cutEverywhere(traced, join(own, 'left'))
    const refused = traced.verdicts.filter((verdict) => verdict !== 0)
    expect(refused.filter((verdict) => verdict !== tooLate)).toEqual([])
    expect(traced.verdicts).toHaveLength(scenario.starts + refused.length)
    expect(toll.starts).toBe(traced.verdicts.length)
    return toll
  }

  describe.concurrent('at any moment', () => {
    test.each(scenarios)('of $name leaves every intent and every write that was kept', async (scenario) => {
      const { cuts, effects, withoutIntent, lost } = await play(scenario)
      const { name } = scenario
      recordFigure({ suite: 'power-cut', name: `cut points in ${name}`, value: cuts })
      recordFigure({ suite: 'power-cut', name: `effects in ${name}`, value: effects })
      recordFigure({
        suite: 'power-cut',
        name: `effects without a durable intent in ${name}`,
        value: withoutIntent.length,
        goal: '0',
      })
      expect({ withoutIntent, lost }).toEqual({ withoutIntent: [], lost: [] })
    })

    test('of a process whose commits are not flushed leaves intents out: this suite sees the difference', async () => {
      const { effects, withoutIntent } = await play(scenarios[0]!, true)
      recordFigure({
        suite: 'power-cut',
        name: 'effects without a durable intent when SQLite commits with synchronous=NORMAL',
        value: withoutIntent.length,
        goal: 'more than 0',
      })
      expect(withoutIntent.length).toBeGreaterThan(effects / 2)
    })

    test('of a writer whose log is written back to the file meanwhile leaves what it was told is kept', async () => {
      const own = join(root, 'writer')
      mkdirSync(own)
      const file = join(own, 'trace')
      const [path, folder] = [join(own, 'state', 'state.db'), join(own, 'state')]
      mkdirSync(folder)
      const disk = createFragileDisk(folder)
      const child = startChild('state-process.ts', [path, own, 'write'], { under: underStrace(file) })
      expect(await child.line()).toBe('open')
      for (let seen = 0; seen < 300; seen += 1) await child.line()
      await child.kill()
      await Promise.allSettled(traces)

      const random = createRandom('writer')
      let [said, cuts, writtenBack] = [-1, 0, 0]
      const lost: string[] = []
      const cut = async (leaves: Leaves): Promise<void> => {
        cuts += 1
        disk.cutPower(join(own, 'left'), leaves, random)
        const found = await readState(join(own, 'left', 'state.db')).catch(messageOf)
        if (typeof found === 'string') lost.push(found)
        else if (said >= 0 && Number(found.records[0]?.value) < said) lost.push(`${said} was said to be kept`)
      }
      for (const step of readTrace(readFileSync(file, 'latin1'))) {
        const isWrittenBack = 'path' in step && step.path === path && said >= 0
        const isFlush = step.kind === 'sync' && disk.isFlushedBy(step.path)
        if (isWrittenBack || (isFlush && random.chance(tears / 25))) {
          await cut('flushed')
          await cut('torn')
        }
        disk.apply(step)
        if (isWrittenBack && step.kind === 'sync') writtenBack += 1
        if (step.kind !== 'say' || step.line === 'open') continue
        said = Number(step.line)
        if (random.chance(tears / 25)) await cut('flushed')
      }
      // The last lines of strace may have died with it.
      expect(said).toBeGreaterThan(250)
      expect(writtenBack).toBeGreaterThan(0)
      recordFigure({ suite: 'power-cut', name: 'cut points in a writer', value: cuts })
      recordFigure({ suite: 'power-cut', name: 'writes lost by a writer', value: lost.length, goal: '0' })
      expect(lost).toEqual([])
    })
  })
})
