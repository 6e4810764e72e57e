import { badObjectNames } from './bad-object.ts'
import { twinInvariants } from './invariants.ts'
import type { Past } from './past.ts'
import { playWorld, runWorld, type Played, type Report, type WorldOptions } from './world.ts'

/** Of so many seeds one is played twice: the same happens. */
const repeatedOf = 100
/** Of so many seeds one is played with crashes and without, and another one with a bad object and without. */
const twinOf = 50

/** Plays a seed and, of some, a second world that differs in one thing. */
export async function playSeed(seed: number): Promise<Report> {
  if (seed % twinOf === 7) return playTwin(seed, 'I17', { crashes: 3 })
  if (seed % twinOf === 11) {
    const bad = badObjectNames[Math.floor(seed / twinOf) % badObjectNames.length]!
    return playTwin(seed, 'I19', { bad })
  }
  const report = await runWorld(seed)
  if (seed % repeatedOf === 3) {
    const { hash } = await runWorld(seed)
    if (hash !== report.hash) report.violations.push('determinism: the second time something else happened')
  }
  return report
}

async function playTwin(
  seed: number,
  id: keyof typeof twinInvariants,
  difference: WorldOptions,
): Promise<Report> {
  const same: WorldOptions = { isQuiet: true, controllers: 1, crashes: 0 }
  const without = await playWorld(seed, same)
  const { report, past }: Played = await playWorld(seed, { ...same, ...difference })
  const { name, judge }: { name: string; judge: (past: Past, other: Past) => Iterable<string> } =
    twinInvariants[id]
  report.violations.push(...without.report.violations)
  for (const found of judge(past, without.past)) report.violations.push(`${id} ${name}: ${found}`)
  return report
}
