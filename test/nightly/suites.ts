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

/** What tells the suites of the real process to play every point in every way. */
const allPoints = { REFLASH_KILLS: 'all' }
/** What tells a suite of one size that it is to have its large one. */
const large = { REFLASH_SECONDS: '1' }

/** In the order in which they run: those of one size first, so that the others share what these leave. */
export const suites: readonly Suite[] = [
  {
    name: 'model',
    title: 'Every order of events of one operation under two controllers, until no new state appears',
    files: ['test/model'],
    headline: { states: /^states$/, transitions: /^transitions$/ },
    seconds: 20,
  },
  {
    name: 'crash',
    title: 'The real process, killed with SIGKILL at each write and each command, and restarted in six ways',
    files: ['test/crash/kill.test.ts', 'test/crash/kill-again.test.ts'],
    env: allPoints,
    headline: { points: /^points /, kills: /^kills /, violations: /^violations/ },
    seconds: 150,
  },
  {
    name: 'cluster-kills',
    title: 'The leader of a cluster, killed or stopped at each write and each command',
    files: ['test/cluster/kill.test.ts'],
    env: allPoints,
    headline: { points: /^points /, kills: /^kills /, pauses: /^leaders stopped/, violations: /^violations/ },
    seconds: 90,
  },
  {
    name: 'stops',
    title: 'HALT, Pause, Abort and SIGTERM at each write and each command of the real process',
    files: ['test/crash/stops.test.ts'],
    env: allPoints,
    headline: { stops: /^stops$/, 'at the most until nothing starts': /^worst HALT latency$/ },
    seconds: 45,
  },
  {
    name: 'pause',
    title: 'The real process, stopped as by SIGSTOP until all its timers are late, and woken',
    files: ['test/crash/pause.test.ts'],
    env: allPoints,
    headline: { pauses: /^pauses /, 'double starts or wrong verdicts': /^double starts/ },
    seconds: 45,
  },
  {
    name: 'disk-full',
    title: 'The disk of the state, full at each write',
    files: ['test/crash/disk-full.test.ts'],
    env: allPoints,
    headline: { 'full disks': /^full disks$/, 'starts without intent or lost verdicts': /^starts without/ },
    seconds: 45,
  },
  {
    name: 'power-cut',
    title: 'A power cut at every flush and every command: only what was flushed is left',
    files: ['test/stores/power-cut.test.ts'],
    env: large,
    headline: {
      cuts: /^cut points/,
      'effects without a durable intent': /^effects without a durable intent in /,
    },
    seconds: 30,
  },
  {
    name: 'wire',
    title: 'Whole upgrades through every harm of a wire, in every phase, both ways',
    files: ['test/ssh/upgrades.test.ts', 'test/ssh/faults.test.ts'],
    env: large,
    headline: { cases: /^cases /, hangs: /^hangs$/, 'wrong ends': /^wrong ends/ },
    seconds: 60,
  },
  {
    name: 'api-server',
    title: 'The harms of a wire between controller and API server, at every moment of an upgrade',
    files: ['test/cluster/chaos.test.ts'],
    env: large,
    headline: { cases: /^cases /, 'starts while partitioned': /^starts while/, 'wrong ends': /^wrong ends/ },
    seconds: 90,
  },
  {
    name: 'hostile',
    title: 'Routers and servers that misbehave on purpose, and Secrets looked for everywhere',
    files: [
      'test/hostile',
      'test/ssh/hostile.test.ts',
      'test/end-to-end/secrets-nowhere.test.ts',
      'test/cluster/secrets-nowhere.test.ts',
    ],
    headline: { 'behaviours survived': /behaviours .*survived$/, 'wrong Secrets': /^Secrets of/ },
    seconds: 60,
  },
  {
    name: 'bad-inputs',
    title: 'Thirty kinds of bad input, through validate and through a running directory',
    files: ['test/bad-inputs'],
    headline: { cases: /^cases/, 'starts because of them': /^starts/ },
    seconds: 40,
  },
  {
    name: 'bug-bank',
    title: 'Mistakes that a maintainer could make, each planted in a copy of the sources',
    script: 'bugs',
    headline: { planted: /^bugs planted$/, found: /^bugs found$/ },
    seconds: 240,
  },
  {
    name: 'simulation',
    title: 'Whole fleets with faults, crashes, rivals and edits in virtual time, each from one seed',
    files: ['test/simulation/fleet.test.ts', 'test/simulation/one-fault.test.ts'],
    headline: {
      worlds: /^worlds$/,
      'of all devices together': /^time of all devices$/,
      violations: /^violations$/,
      'situations met': /^situations met$/,
    },
    seconds: 60,
    weight: 5,
  },
  {
    name: 'cluster-simulation',
    title:
      'Controllers of a cluster over a network that loses, doubles, delays and refuses, each from one seed',
    files: ['test/simulation/cluster.test.ts'],
    env: { REFLASH_SEEDS: '1000' },
    headline: { worlds: /^worlds$/, violations: /^violations$/ },
    seconds: 60,
  },
  {
    name: 'files',
    title: 'State files with bits flipped, pages swapped and rows lost',
    files: ['test/stores/damaged-files.test.ts', 'test/stores/corruption.test.ts'],
    headline: { 'damaged files': /^files damaged$/ },
    seconds: 20,
    weight: 1,
  },
  {
    name: 'guard',
    title: 'Four to sixteen starters at once on real busybox, with hostile arguments',
    files: ['test/upgraders/guard-rounds.test.ts'],
    headline: { rounds: /^rounds of /, 'with other than one start': /^rounds with / },
    seconds: 20,
    weight: 1,
  },
  {
    name: 'fuzz',
    title: 'What routers, images, files and clients say, and the verdict against two oracles',
    files: [
      'test/fuzz',
      'test/core/verdict-oracle.test.ts',
      'test/server/any-request.test.ts',
      'test/server/any-bytes.test.ts',
    ],
    headline: {
      executions: /: executions$/,
      'requests of any kind': /^HTTP requests/,
      'pieces of evidence judged': /evidence judged$/,
      'open crashes': /: open crashes$/,
    },
    seconds: 30,
    weight: 2,
  },
  {
    name: 'mutation',
    title: 'Small changes to the kernel, one at a time: a sample of all of them',
    script: 'mutation',
    headline: { mutants: /^mutants$/, killed: /^killed$/, score: /^(?:mutation )?score/ },
    seconds: 20,
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
