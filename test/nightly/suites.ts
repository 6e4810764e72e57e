/** What a suite is run by: files for vitest, or a script of package.json. */
type Runner = { files: readonly string[] } | { script: string }

/** A suite of the proof programme at its large size. */
export type Suite = Runner & {
  /** As it is called in the figures, and as an argument of `npm run nightly`. */
  name: string
  /** What it tries, for the heading of its figures. */
  title: string
  /** Its size beyond the usual one, taken when there is time for it. */
  large?: Size
  /** What the README shows of it: a word for each sum of figures, by what their names are like. */
  headline: Readonly<Record<string, RegExp>>
  /** How long its usual size takes, on two cores. */
  seconds: number
  /** Its share of the time that is left in the end, for which it goes on. */
  weight?: number
  /** How many of its files do so one after the other, on two cores; 1 unless it says otherwise. */
  turns?: number
}

/** What sets a size, and how long that takes on two cores. */
export interface Size {
  env: Readonly<Record<string, string>>
  seconds: number
}

/** Every point in every way. */
const everyPoint = (seconds: number): Size => ({ env: { REFLASH_KILLS: 'all' }, seconds })
/** For suites that have two sizes, and do not go on for a time. */
const nightly = (seconds: number): Size => ({ env: { REFLASH_SECONDS: '1' }, seconds })

/** In the order in which they run and take their large sizes; those that go on for a time share what the others leave. */
export const suites: readonly Suite[] = [
  {
    name: 'model',
    title: 'Every order of events of one operation under two controllers, until no new state appears',
    files: ['test/model'],
    headline: { states: /^states$/, transitions: /^transitions$/ },
    seconds: 30,
  },
  {
    name: 'parts',
    title: 'Each part by itself: kernel, controllers, files, images, API, what comes over a watch',
    files: [
      'test/core',
      'test/controllers',
      'test/contract',
      'test/files',
      'test/images',
      'test/api',
      'test/server',
      'test/kubernetes',
      'test/upgraders/conversation.test.ts',
      'test/upgraders/checks.test.ts',
      'test/upgraders/probe.test.ts',
      'test/cluster/whole-kind.test.ts',
      'test/cluster/list-watch.test.ts',
      'test/cluster/merge-streams.test.ts',
      'test/cluster/small-parts.test.ts',
    ],
    headline: {},
    seconds: 40,
  },
  {
    name: 'bug-bank',
    title: 'Mistakes that a maintainer could make, each planted in a copy of the sources',
    script: 'bugs',
    headline: { planted: /^bugs planted$/, found: /^bugs found$/ },
    seconds: 125,
  },
  {
    name: 'wire',
    title: 'Whole upgrades through the harms of a wire, in each phase, both ways',
    files: ['test/ssh/upgrades.test.ts', 'test/ssh/faults.test.ts'],
    headline: {
      cases: /^cases /,
      'in the whole matrix': /^the whole matrix$/,
      hangs: /^hangs$/,
      'wrong ends': /^wrong ends/,
    },
    seconds: 20,
    large: nightly(50),
  },
  {
    name: 'api-server',
    title: 'The harms of a wire between controller and API server, at the moments of an upgrade',
    files: ['test/cluster/wire.test.ts'],
    headline: {
      cases: /^cases /,
      'in the whole matrix': /^the whole matrix$/,
      'starts while partitioned': /^starts while/,
      'wrong ends': /^wrong ends/,
    },
    seconds: 45,
    large: nightly(600),
  },
  {
    name: 'crash',
    title: 'The real process, killed with SIGKILL at each write and each command, and restarted in six ways',
    files: ['test/crash/kill.test.ts', 'test/crash/kill-again.test.ts'],
    headline: { points: /^points /, kills: /^kills /, violations: /^violations/ },
    seconds: 125,
    large: everyPoint(600),
  },
  {
    name: 'stops',
    title:
      'HALT, Pause, Abort and SIGTERM at the writes and the commands of the real process, and of a leader',
    files: ['test/crash/stops.test.ts', 'test/cluster/stops.test.ts'],
    headline: {
      points: /^points/,
      stops: /^stops/,
      violations: /^violations/,
      'at the most until nothing starts': /^worst HALT latency$/,
      'in a cluster': /^worst HALT latency in a cluster$/,
    },
    seconds: 100,
    large: everyPoint(480),
  },
  {
    name: 'power-cut',
    title: 'A power cut at every flush and every command: only what was flushed is left',
    files: ['test/stores/power-cut.test.ts'],
    headline: {
      cuts: /^cut points/,
      'effects without a durable intent': /^effects without a durable intent in /,
    },
    seconds: 15,
    large: nightly(20),
  },
  {
    name: 'disk-full',
    title: 'The disk of the state, full from one point of an upgrade after the other',
    files: ['test/crash/disk-full.test.ts'],
    headline: { 'full disks': /^full disks$/, 'starts without intent or lost verdicts': /^starts without/ },
    seconds: 22,
    large: everyPoint(90),
  },
  {
    name: 'pause',
    title: 'The real process, stopped as by SIGSTOP until all its timers are late, and woken',
    files: ['test/crash/pause.test.ts'],
    headline: { pauses: /^pauses /, 'double starts or wrong verdicts': /^double starts/ },
    seconds: 25,
    large: everyPoint(70),
  },
  {
    name: 'cluster-kills',
    title:
      'The leader of a cluster, killed or stopped at its writes and its commands, and restarted in six ways',
    files: ['test/cluster/kill.test.ts'],
    headline: { points: /^points /, kills: /^kills /, pauses: /^leaders stopped/, violations: /^violations/ },
    seconds: 185,
    large: everyPoint(1400),
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
    headline: {
      'behaviours survived': /behaviours .*survived$/,
      'wrong Secrets of which nothing was seen': /^Secrets of/,
    },
    seconds: 25,
  },
  {
    name: 'bad-inputs',
    title: 'Thirty kinds of bad input, through validate and through a running directory',
    files: ['test/bad-inputs'],
    headline: { cases: /^cases/, 'starts because of them': /^starts/ },
    seconds: 27,
  },
  {
    name: 'cluster-simulation',
    title:
      'Controllers of a cluster over a network that loses, doubles, delays and refuses, each from one seed',
    files: ['test/simulation/cluster.test.ts'],
    headline: { worlds: /^worlds /, harms: /^harms /, violations: /^violations / },
    seconds: 33,
    large: { env: { REFLASH_SEEDS: '1000' }, seconds: 60 },
  },
  {
    name: 'simulation',
    title: 'Whole fleets with faults, crashes, rivals and edits in virtual time, each from one seed',
    files: [
      'test/simulation/fleet.test.ts',
      'test/simulation/one-fault.test.ts',
      'test/simulation/prompt.test.ts',
    ],
    headline: {
      worlds: /^worlds$/,
      'of all devices together': /^time of all devices$/,
      violations: /^violations$/,
      'situations met': /^situations met$/,
    },
    seconds: 210,
    weight: 5,
  },
  {
    name: 'files',
    title: 'State files with bits flipped, pages swapped and rows lost',
    files: ['test/stores/damaged-files.test.ts', 'test/stores/corruption.test.ts'],
    headline: { 'damaged files': /^files damaged$/ },
    seconds: 15,
    weight: 1,
  },
  {
    name: 'guard',
    title: 'Four to sixteen starters at once on real busybox, with hostile arguments',
    files: ['test/upgraders/guard-rounds.test.ts'],
    headline: { rounds: /^rounds of /, 'with other than one start': /^rounds with / },
    seconds: 10,
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
    seconds: 25,
    weight: 2,
    turns: 2,
  },
  {
    name: 'mutation',
    title: 'Small changes to the kernel, one at a time: a sample of all of them',
    script: 'mutation',
    headline: { mutants: /^mutants$/, killed: /^killed$/, score: /^(?:mutation )?score/ },
    seconds: 15,
    weight: 2,
  },
]

/** How a shell runs a suite alone, with these settings. */
export function commandOf(suite: Suite, env: Readonly<Record<string, string>>): string {
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const command = 'files' in suite ? `npx vitest run ${suite.files.join(' ')}` : `npm run ${suite.script}`
  return [...settings, command].join(' ')
}
