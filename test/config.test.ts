import { Command } from 'commander'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { addRunFlags } from '../src/cli/run-flags.ts'
import { ConfigError, defaults, readConfig, type RunFlags } from '../src/config.ts'

const directory = tmpdir()
const home = { HOME: '/home/op' }
const read = (flags: Partial<RunFlags> = {}, env: Record<string, string> = home) =>
  readConfig(directory, { ...defaults, ...flags }, env)
const problemsOf = (flags: Partial<RunFlags>, dir = directory): readonly string[] => {
  try {
    readConfig(dir, { ...defaults, ...flags }, home)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('flags', () => {
  test('have defaults that pass, frozen', () => {
    const config = read()
    expect(config).toMatchObject({
      directory,
      governor: { maxInFlight: 50, maxStartsPerMinute: 30, maxLostPerDay: 5 },
      probeIntervalMs: 900_000,
      maxImageBytes: 64 * 1024 ** 2,
      upgraderModules: [],
    })
    expect(Object.isFrozen(config)).toBe(true)
  })

  test('are all judged at once', () => {
    expect(
      problemsOf(
        {
          maxInFlight: '0',
          maxStartsPerMinute: '-1',
          maxLostPerDay: 'many',
          maxImageSize: '64',
          acknowledgeLost: 'today',
          probeInterval: '5',
        },
        '/nowhere/at/all',
      ),
    ).toEqual([
      'directory /nowhere/at/all does not exist or cannot be read',
      '--max-in-flight must be a whole number from 1 on, found "0"',
      '--max-image-size must be a size such as 64MiB, found "64"',
      '--max-starts-per-minute must be a whole number from 1 on, found "-1"',
      '--max-lost-per-day must be a whole number from 1 on, found "many"',
      '--acknowledge-lost must be a date such as 2026-11-23, found "today"',
      '--probe-interval must be a duration such as 15m, found "5"',
    ])
  })

  test.each<[Partial<RunFlags>, RegExp]>([
    [{ maxInFlight: '' }, /found ""/],
    [{ maxInFlight: '1.5' }, /whole number/],
    [{ maxInFlight: '1e3' }, /whole number/],
    [{ maxInFlight: '99999999999' }, /whole number/],
    [{ maxImageSize: '0MiB' }, /must be a size/],
    [{ probeInterval: '1ms' }, /must be at least 1s, found "1ms"/],
    [{ acknowledgeLost: '2026-02-30' }, /must be a date such as/],
    [{ acknowledgeLost: '2026-13-01' }, /must be a date such as/],
  ])('%j is refused', (flags, words) => {
    const problems = problemsOf(flags)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(words)
  })

  test('a file is no directory', () => {
    expect(problemsOf({}, import.meta.filename)).toEqual([`directory ${import.meta.filename} is a file`])
  })
})

describe('where things are kept', () => {
  test('follows XDG, each directory for itself, and an empty variable is none', () => {
    const stateOf = (env: Record<string, string>) => read({}, env).stateFile
    expect(stateOf(home)).toMatch(/^\/home\/op\/\.local\/state\/reflash\/[0-9a-f]{16}\/state\.db$/)
    expect(stateOf({ ...home, XDG_STATE_HOME: '/var/state' })).toMatch(
      /^\/var\/state\/reflash\/[0-9a-f]{16}\/state\.db$/,
    )
    expect(stateOf({ ...home, XDG_STATE_HOME: '' })).toBe(stateOf(home))
    expect(read().cacheFolder).toBe(`${read().stateFile}.images`)
    expect(readConfig('/', { ...defaults }, home).stateFile).not.toBe(stateOf(home))
  })
  test('is where the flags say', () => {
    const config = read({
      state: '/s/state.db',
      secrets: '/secrets',
      images: '/images',
      cache: '/cache',
      upgrader: ['/a.ts', '/b.ts'],
    })
    expect(config).toMatchObject({
      stateFile: '/s/state.db',
      haltFile: '/s/state.db.HALT',
      secretsFolder: '/secrets',
      imagesFolder: '/images',
      cacheFolder: '/cache',
      upgraderModules: ['/a.ts', '/b.ts'],
    })
  })
})

describe('the environment', () => {
  const parse = (argv: string[], env: Record<string, string>): RunFlags => {
    const before = { ...process.env }
    Object.assign(process.env, env)
    try {
      return addRunFlags(new Command()).parse(argv, { from: 'user' }).opts<RunFlags>()
    } finally {
      process.env = before
    }
  }
  test('stands in for flags, and yields to them', () => {
    expect(parse([], {})).toEqual({ ...defaults })
    expect(parse([], { REFLASH_MAX_IN_FLIGHT: '7', REFLASH_STATE: '/s' })).toMatchObject({
      maxInFlight: '7',
      state: '/s',
    })
    expect(parse(['--max-in-flight', '8'], { REFLASH_MAX_IN_FLIGHT: '7' })).toMatchObject({
      maxInFlight: '8',
    })
  })
  test('has a variable for every flag', () => {
    const names = addRunFlags(new Command()).options.map(({ long, envVar }) => [long, envVar])
    expect(names.filter(([long, envVar]) => !envVar?.startsWith('REFLASH_') || long === undefined)).toEqual(
      [],
    )
  })
  test('an upgrader given as a flag is not added to that of the environment', () => {
    expect(parse(['--upgrader', '/a.ts', '--upgrader', '/b.ts'], {}).upgrader).toEqual(['/a.ts', '/b.ts'])
    expect(parse([], { REFLASH_UPGRADER: '/c.ts' }).upgrader).toEqual(['/c.ts'])
    expect(parse(['--upgrader', '/a.ts'], { REFLASH_UPGRADER: '/c.ts' }).upgrader).toEqual(['/a.ts'])
  })
})
