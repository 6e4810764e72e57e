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
    title: 'Every order of events of one operation under two controllers, until no new state appears',
    files: ['test/model'],
    headline: { states: /^states$/, transitions: /^transitions$/ },
    seconds: 40,
  },
  {
    name: 'crash',
    title: 'The real process, killed with SIGKILL at each write and each command, and restarted in six ways',
    files: ['test/crash/kill.test.ts', 'test/crash/kill-again.test.ts', 'test/cluster/kill.test.ts'],
    env: { REFLASH_KILLS: 'all' },
    headline: { points: /^points /, kills: /^kills /, violations: /^violations/ },
    seconds: 150,
  },
  {
    name: 'stops',
    title: 'HALT, Pause, Abort and SIGTERM at each write and each command of the real process',
    files: ['test/crash/stops.test.ts'],
    env: { REFLASH_KILLS: 'all' },
    headline: { stops: /^stops$/, 'at the worst until nothing starts': /^worst HALT latency$/ },
    seconds: 60,
  },
  {
    name: 'pause',
    title: 'The real process, stopped as by SIGSTOP until all its timers are late, and woken',
    files: ['test/crash/pause.test.ts'],
    env: { REFLASH_KILLS: 'all' },
    headline: { pauses: /^pauses /, 'double starts': /^double starts/ },
    seconds: 60,
  },
  {
    name: 'power-cut',
    title: 'A power cut at every flush and every command: only what was flushed is left',
    files: ['test/stores/power-cut.test.ts'],
    // How many parts of what was not flushed are tried for each cut.
    env: { REFLASH_SECONDS: '1' },
    headline: {
      cuts: /^cut points/,
      'effects without a durable intent': /^effects without a durable intent in /,
    },
    seconds: 60,
  },
  {
    name: 'hostile',
    title: 'Routers and servers that misbehave on purpose, and secrets looked for everywhere',
    files: [
      'test/hostile',
      'test/ssh/hostile.test.ts',
      'test/end-to-end/secrets-nowhere.test.ts',
      'test/cluster/secrets-nowhere.test.ts',
    ],
    headline: { 'behaviours survived': /behaviours/ },
    seconds: 60,
  },
  {
    name: 'bad-inputs',
    title: 'Thirty kinds of bad input, through validate and through a running directory',
    files: ['test/bad-inputs'],
    headline: { cases: /^cases/, 'starts because of them': /^starts/ },
    seconds: 60,
  },
  {
    name: 'simulation',
    title: 'Whole fleets with faults, crashes and rivals, in virtual time, each from one seed',
    files: ['test/simulation/fleet.test.ts', 'test/simulation/rivals.test.ts'],
    headline: {},
    seconds: 60,
    weight: 6,
  },
  {
    name: 'files',
    title: 'State files with bits flipped, pages swapped and rows lost',
    files: ['test/stores/damaged-files.test.ts', 'test/stores/corruption.test.ts'],
    headline: { 'damaged files': /^files damaged$/ },
    seconds: 30,
    weight: 1,
  },
  {
    name: 'guard',
    title: 'Four to sixteen starters at once on real busybox, with hostile arguments',
    files: ['test/upgraders/guard-rounds.test.ts'],
    headline: { rounds: /^rounds of /, 'with other than one start': /^rounds with / },
    seconds: 30,
    weight: 1,
  },
  {
    name: 'fuzz',
    title: 'Parsers of what routers, images, files and clients say, and the verdict against two oracles',
    files: ['test/fuzz', 'test/core/verdict-oracle.test.ts'],
    headline: { executions: /: executions$/, 'open crashes': /: open crashes$/ },
    seconds: 30,
    weight: 2,
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
