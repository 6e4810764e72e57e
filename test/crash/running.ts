import { expect } from 'vitest'
import type { Ending } from '../../src/app.ts'
import { until } from '../support/until.ts'
import type { When } from './look-on.ts'
import { isStopped, type Victim } from './start-victim.ts'
import { isOnRouter, nameOfPoint, type Fate, type Point, type WatchedRouters } from './world.ts'

/** What one process did, and how it ended. */
export interface Ended {
  signal: NodeJS.Signals | null
  code: number | null
  lines: Line[]
  stderr: string
}
export interface Line {
  when?: When
  name?: string
  nth?: number
  held?: true
  phase?: string
  told?: string
  message?: string
  bug?: string
  ending?: Ending
  /** How a controller of a cluster ended. */
  ended?: 'Stopped' | 'Lost'
}

/** A process under way. */
export interface Running {
  child: Victim['child']
  /** What it has said until now. */
  lines(): Line[]
  stderr(): string
  /** Whether it has ended. */
  isOver(): boolean
  ended: Promise<Ended>
}

/** One that has come to its point, where it stands still or is held. */
export interface Met extends Running {
  /** Lets it go on. */
  release(): void
}

export function watchVictim({ child, closed, output }: Victim): Running {
  const lines = (): Line[] =>
    output.stdout
      .split('\n')
      // The last one may not be whole yet.
      .slice(0, -1)
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  return {
    child,
    lines,
    stderr: () => output.stderr,
    isOver: () => child.exitCode !== null || child.signalCode !== null,
    ended: closed.then(() => ({
      signal: child.signalCode,
      code: child.exitCode,
      lines: lines(),
      stderr: output.stderr,
    })),
  }
}

/** Waits until a process has come to the point where it is to be stopped or held. */
export async function untilMet(
  victim: Victim,
  { point, fate, limitMs = 60_000 }: { point: Point; fate: Exclude<Fate, 'killed'>; limitMs?: number },
  setTrap: WatchedRouters['setTrap'],
): Promise<Met> {
  const running = watchVictim(victim)
  const released = Promise.withResolvers<void>()
  let isHeld = false
  if (isOnRouter(point)) {
    const spring = async (): Promise<void> => {
      if (fate === 'stopped') return victim.stop()
      isHeld = true
      await released.promise
    }
    setTrap({ point, spring })
  }
  const isMet = (): boolean =>
    running.isOver() ||
    (fate === 'stopped'
      ? isStopped(victim.child)
      : isHeld || running.lines().some(({ held }) => held === true))
  await untilOf(running, nameOfPoint(point), isMet, limitMs)
  if (running.isOver()) expect.fail(`${nameOfPoint(point)} was not reached:\n${said(await running.ended)}`)
  let isReleased = false
  const release = (): void => {
    if (isReleased) return
    isReleased = true
    if (fate === 'stopped') victim.child.kill('SIGCONT')
    else if (isHeld) released.resolve()
    else goOn(victim)
  }
  return { ...running, release }
}

/** Says what it waits for, as it begins or where it is held. */
export const goOn = ({ child }: Victim): void => void child.stdin!.write('go on\n')

/** Waits until it has ended, in whatever way. */
export async function untilOver(running: Running, limitMs: number): Promise<Ended> {
  await untilOf(running, 'it has ended', () => running.isOver(), limitMs)
  return running.ended
}

/** Waits until something is so; a failure tells what the process has said. */
export const untilOf = (
  running: Running,
  what: string,
  isSo: () => boolean,
  limitMs: number,
): Promise<unknown> =>
  until(what, isSo, limitMs).catch((error: Error) => {
    throw new Error(`${error.message}\n${said({ lines: running.lines(), stderr: running.stderr() })}`)
  })

/** Waits until it has ended by itself, in order and without a bug. */
export async function endsWell(running: Running, limitMs = 60_000): Promise<Ended> {
  const ended = await untilOver(running, limitMs)
  expect(ended, said(ended)).toMatchObject({ code: 0, signal: null })
  expect(bugsOf(ended)).toEqual([])
  return ended
}

/** For the message of an assertion. */
export const said = ({ lines, stderr }: Pick<Ended, 'lines' | 'stderr'>): string =>
  [...lines.map((line) => JSON.stringify(line)), stderr].slice(-60).join('\n')

export const bugsOf = ({ lines }: Pick<Ended, 'lines'>): string[] => lines.flatMap(({ bug }) => bug ?? [])
