import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { readState } from '../../src/adapters/sqlite/state.ts'
import type { Ending } from '../../src/app.ts'
import type { Fleet, FleetOptions } from '../../src/simulator/fleet.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import { until } from '../support/until.ts'
import { runOnce } from './run-once.ts'
import { bugsOf, endsWell, said, untilMet, watchVictim, type Ended, type Line, type Met } from './running.ts'
import { startVictim, type Victim } from './start-victim.ts'
import {
  createWorldFleet,
  isAnyUnseen,
  isBack,
  isOnRouter,
  nameOfPoint,
  pointArguments,
  watchRouters,
  whatMatters,
  type Changes,
  type Fate,
  type Point,
  type Resources,
  type WatchedRouters,
  type World,
} from './world.ts'

export interface StandaloneWorld extends World {
  folder: string
  state: string
  /** Arguments of the real program for this fleet. */
  runArguments: readonly string[]
  readonly startedAtMs: readonly number[]
  /** Runs the program once over the directory, up to a point or to its end. */
  run(point?: Point): Promise<Ended>
  /** Runs it up to a point, where it is stopped or held. */
  meetAt(point: Point, fate: Exclude<Fate, 'killed'>): Promise<Met>
  /** Runs it until something is so, and stops it there. */
  stopWhen(what: string, isSo: () => boolean): Promise<Met>
  /** Takes away everything that is known beside the manifests. */
  forget(): Promise<void>
  /** Copies everything that is known beside the manifests; what is returned puts it back. */
  backUp(): Promise<() => Promise<void>>
  /** Lets every later run see a wall clock that is ahead of ours. */
  setClockAhead(aheadMs: number): void
  /** Runs it once more, in this process, where its code is warm; it has to end by itself. */
  finish(): Promise<Ending>
  /** Runs it as `finish` does, as somebody would elsewhere, with a state of its own. */
  finishElsewhere(): Promise<Ending>
}

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))
/** Without state a router that is away is one that does not answer, and a run does not wait for that. */
const runsWithoutState = 8

/** Simulated routers behind real SSH, which outlive every process that is let loose on them. */
export async function withWorld(
  options: Partial<FleetOptions>,
  body: (world: StandaloneWorld) => Promise<void>,
  prepare: (home: string) => Promise<() => Promise<void>> = async () => async () => {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-crash-'))
  const fleet = createWorldFleet(options)
  const victims = new Set<Victim>()
  const over = new AbortController()
  const world = openWorld(folder, fleet, { victims, over: over.signal })
  const served = await serveFleet({ routers: world.routers, addresses: fleet.addresses })
  await mkdir(join(folder, 'home'))
  const undo = await prepare(join(folder, 'home'))
  try {
    await world.declare()
    await body(world)
  } finally {
    over.abort()
    for (const each of victims) await each.kill()
    await served.close()
    await undo()
    await rm(folder, { recursive: true, force: true })
  }
}

function openWorld(
  folder: string,
  fleet: Fleet,
  { victims, over }: { victims: Set<Victim>; over: AbortSignal },
): StandaloneWorld & Pick<WatchedRouters, 'routers'> {
  const directory = join(folder, 'fleet')
  const [home, elsewhere] = ['', 'elsewhere'].map((name) => join(folder, 'home', name)) as [string, string]
  const placeIn = (where: string) => ({
    directory,
    state: join(where, 'state.db'),
    cache: join(where, 'cache'),
  })
  const { state, cache } = placeIn(home)
  const { routers, wrongStarts, startedAtMs, setTrap } = watchRouters(
    fleet.routers,
    () => resourcesIn(state),
    () => resourcesIn(placeIn(elsewhere).state),
  )
  let clockAheadMs = 0
  let remembers = true

  const start = (point?: Point, fate?: Fate): Victim => {
    const args = [directory, state, cache, ...pointArguments(point, fate)]
    const started = startVictim(victim, args, folder, clockAheadMs)
    victims.add(started)
    void started.closed.then(() => {
      victims.delete(started)
      setTrap(undefined)
    })
    return started
  }
  const run = (point?: Point): Promise<Ended> => {
    const running = start(point)
    if (point && isOnRouter(point)) setTrap({ point, spring: running.kill })
    return watchVictim(running).ended
  }

  const finishIn = async (where: string): Promise<Ending> => {
    const lines: Line[] = []
    await runOnce(placeIn(where), (line) => void lines.push(line), { signal: over })
    expect(bugsOf({ lines })).toEqual([])
    return lines.at(-1)!.ending!
  }
  /** This process has the clock that it has. */
  const finishAhead = async (): Promise<Ending> => {
    const ended = await endsWell(watchVictim(start()), 90_000)
    return ended.lines.at(-1)?.ending ?? expect.fail(said(ended))
  }
  const finish = (): Promise<Ending> => (clockAheadMs === 0 ? finishIn(home) : finishAhead())

  return {
    fleet,
    folder,
    state,
    runArguments: ['run', directory, '--state', state, '--cache', cache, '--max-starts-per-minute', '10000'],
    routers,
    wrongStarts,
    startedAtMs,
    get remembers() {
      return remembers
    },
    declare: (changes = {}) => declare(fleet, directory, changes),
    run,
    meetAt: (point, fate) => untilMet(start(point, fate), { point, fate }, setTrap),
    stopWhen: async (what, isSo) => {
      const running = start()
      await until(what, isSo, 60_000)
      await running.stop()
      return { ...watchVictim(running), release: () => void running.child.kill('SIGCONT') }
    },
    killAt: async (point) => {
      const ended = await run(point)
      expect(ended.signal, `${nameOfPoint(point)} was not reached:\n${said(ended)}`).toBe('SIGKILL')
      expect(bugsOf(ended)).toEqual([])
    },
    forget: async () => {
      remembers = false
      await removeState(home)
    },
    backUp: async () => {
      const copies = join(folder, 'backup')
      await cp(home, copies, { recursive: true })
      return async () => {
        remembers = false
        await removeState(home)
        await cp(copies, home, { recursive: true })
      }
    },
    setClockAhead: (aheadMs) => void (clockAheadMs = aheadMs),
    finish,
    finishElsewhere: () => finishIn(elsewhere),
    comesTo: async (rest) => {
      let ending = await finish()
      const mayKnowMore = async (): Promise<boolean> => {
        if (remembers) return false
        // One that is away right now would look like one that has been seen.
        await until('whoever comes back is up', () => fleet.routers.every(isBack), 60_000)
        return ending.kind !== rest || isAnyUnseen(fleet, (await resourcesIn(state)).devices)
      }
      for (let runs = 1; runs < runsWithoutState && (await mayKnowMore()); runs += 1) ending = await finish()
      expect(ending.kind, JSON.stringify(ending)).toBe(rest)
    },
    resources: () => resourcesIn(state),
  }
}

const resourcesIn = async (state: string): Promise<Resources> =>
  whatMatters((await readState(state)).resources)

async function removeState(home: string): Promise<void> {
  for (const name of await readdir(home)) if (name.startsWith('state.db')) await rm(join(home, name))
}

async function declare(
  fleet: Fleet,
  directory: string,
  { without = [], policy: changed }: Changes,
): Promise<void> {
  await fleet.writeManifests(directory)
  await edit(join(directory, 'devices-0.yaml'), (device) => !without.includes(device.metadata.name))
  if (!changed) return
  await edit(join(directory, 'firmware.yaml'), (object) => {
    if (object.kind === 'UpgradePolicy') Object.assign(object.spec, changed)
    return true
  })
}

interface Written {
  kind: string
  metadata: { name: string }
  spec: object
}

/** Changes the objects of a file in place, and keeps those for which `keep` says so. */
async function edit(path: string, keep: (object: Written) => boolean): Promise<void> {
  const objects = (await readFile(path, 'utf8')).split('---\n').map((text) => JSON.parse(text) as Written)
  const kept = objects.filter(keep).map((object) => `${JSON.stringify(object)}\n`)
  await writeFile(`${path}.new`, kept.join('---\n'))
  await rename(`${path}.new`, path)
}
