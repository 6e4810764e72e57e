/** What a suite is run by: files for vitest, or a script of package.json. */
type Runner = { files: readonly string[] } | { script: string }

/** A suite of the proof programme at its large size. */
export type Suite = Runner & {
  /** As it is called in the figures, and as an argument of `npm run nightly`. */
  name: string
  /** What it tries, for the heading of its figures. */
  title: string
  /** What sets its large size, where that is not a time. */
  env?: Readonly<Record<string, string>>
  /** What the README shows of it: a word for each sum of figures, by what their names are like. */
  headline: Readonly<Record<string, RegExp>>
  /** How long its size takes, on two cores. */
  seconds: number
  /** Its share of the time that is left, for which it goes on; a suite without one has one size. */
  weight?: number
}

/** In the order in which they run: those of one size first, so that the others share what these leave. */
export const suites: readonly Suite[] = [
  {
    name: 'model',
    title: 'Every order of events of one operation under two controllers',
    files: ['test/model'],
    headline: { states: /^states$/ },
    seconds: 40,
  },
  {
    name: 'crash',
    title: 'The real process, killed with SIGKILL at each write and each command',
    files: ['test/crash'],
    env: { REFLASH_KILLS: 'all' },
    headline: {},
    seconds: 150,
  },
  {
    name: 'simulation',
    title: 'Whole fleets with faults, crashes and rivals, in virtual time, each from one seed',
    files: ['test/simulation/fleet.test.ts', 'test/simulation/rivals.test.ts'],
    headline: {},
    seconds: 60,
    weight: 4,
  },
]

/** How a shell runs a suite alone, at the size that it has under `npm run nightly`. */
export function commandOf(suite: Suite, playSeconds?: number): string {
  const settings = Object.entries(environmentOf(suite, playSeconds)).map(
    ([name, value]) => `${name}=${value}`,
  )
  const command = 'files' in suite ? `npx vitest run ${suite.files.join(' ')}` : `npm run ${suite.script}`
  return [...settings, command].join(' ')
}

/** What a suite is told of its size. */
export const environmentOf = (suite: Suite, playSeconds?: number): Record<string, string> => ({
  ...suite.env,
  ...(playSeconds === undefined ? {} : { REFLASH_SECONDS: String(playSeconds) }),
})
