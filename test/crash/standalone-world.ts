import type { ChildProcess } from 'node:child_process'
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { readState } from '../../src/adapters/sqlite/state.ts'
import type { Ending } from '../../src/app.ts'
import type { Fleet, FleetOptions } from '../../src/simulator/fleet.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import type { When } from './look-on.ts'
import { runOnce } from './run-once.ts'
import { startVictim } from './start-victim.ts'
import {
  createWorldFleet,
  isOnRouter,
  nameOfPoint,
  pointArguments,
  watchRouters,
  whatMatters,
  type Changes,
  type Point,
  type Resources,
  type WatchedRouters,
  type World,
} from './world.ts'

/** What one process did, and how it ended. */
export interface Ended {
  signal: NodeJS.Signals | null
  code: number | null
  lines: Line[]
  stderr: string
}
interface Line {
  when?: When
  name?: string
  nth?: number
  phase?: string
  bug?: string
  ending?: Ending
}

export interface StandaloneWorld extends World {
  state: string
  /** Arguments of the real program for this fleet. */
  runArguments: readonly string[]
  /** Runs the program once over the directory, up to a point or to its end. */
  run(point?: Point): Promise<Ended>
  /** Takes away everything that is known beside the manifests. */
  forget(): Promise<void>
  /** Runs it once more, in this process, where its code is warm; it has to end by itself. */
  finish(): Promise<Ending>
}

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))

/** Simulated routers behind real SSH, which outlive every process that is let loose on them. */
export async function withWorld(
  options: Partial<FleetOptions>,
  body: (world: StandaloneWorld) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-crash-'))
  const fleet = createWorldFleet(options)
  const children = new Set<ChildProcess>()
  const over = new AbortController()
  const world = openWorld(folder, fleet, { children, over: over.signal })
  const served = await serveFleet({ routers: world.routers, addresses: fleet.addresses })
  try {
    await world.declare()
    await body(world)
  } finally {
    over.abort()
    for (const child of children) child.kill('SIGKILL')
    await served.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function openWorld(
  folder: string,
  fleet: Fleet,
  { children, over }: { children: Set<ChildProcess>; over: AbortSignal },
): StandaloneWorld & Pick<WatchedRouters, 'routers'> {
  const [directory, state, cache] = ['fleet', 'state.db', 'cache'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const resources = async (): Promise<Resources> => whatMatters((await readState(state)).resources)
  const { routers, wrongStarts, setTrap } = watchRouters(fleet.routers, resources)

  const run = async (point?: Point): Promise<Ended> => {
    const running = startVictim(victim, [directory, state, cache, ...pointArguments(point)], folder)
    children.add(running.child)
    if (point && isOnRouter(point)) setTrap({ point, spring: running.kill })
    await running.closed
    children.delete(running.child)
    setTrap(undefined)
    const { stdout, stderr } = running.output
    const lines = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
    return { signal: running.child.signalCode, code: running.child.exitCode, lines, stderr }
  }

  const finish = async (): Promise<Ending> => {
    const lines: Line[] = []
    await runOnce({ directory, state, cache }, (line) => void lines.push(line), { signal: over })
    expect(bugsOf({ lines })).toEqual([])
    return lines.at(-1)!.ending!
  }

  return {
    fleet,
    state,
    runArguments: ['run', directory, '--state', state, '--cache', cache, '--max-starts-per-minute', '10000'],
    routers,
    wrongStarts,
    declare: (changes = {}) => declare(fleet, directory, changes),
    run,
    killAt: async (point) => {
      const ended = await run(point)
      expect(ended.signal, `${nameOfPoint(point)} was not reached:\n${said(ended)}`).toBe('SIGKILL')
      expect(bugsOf(ended)).toEqual([])
    },
    forget: async () => {
      for (const name of await readdir(folder)) if (name.startsWith('state.db')) await rm(join(folder, name))
    },
    finish,
    comesTo: async (rest) => {
      const ending = await finish()
      expect(ending.kind, JSON.stringify(ending)).toBe(rest)
    },
    resources,
  }
}

/** For the message of an assertion. */
export const said = ({ lines, stderr }: Ended): string =>
  [...lines.map((line) => JSON.stringify(line)), stderr].slice(-60).join('\n')

export const bugsOf = ({ lines }: Pick<Ended, 'lines'>): string[] => lines.flatMap(({ bug }) => bug ?? [])

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
