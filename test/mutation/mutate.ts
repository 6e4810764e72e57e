import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Stryker } from '@stryker-mutator/core'

export type Mutant = Awaited<ReturnType<Stryker['runMutationTest']>>[number]

/** Plants every small mistake in these files, one at a time, and runs the tests that reach it. */
export async function mutate(options: {
  /** Paths from the root, perhaps with `:from-to`, the lines that are meant. */
  files: readonly string[]
  tests: readonly string[]
  jobs: number
}): Promise<Mutant[]> {
  process.env['REFLASH_MUTATION_TESTS'] = options.tests.join(',')
  // A property that holds in every run is tried for each mutant that it misses.
  process.env['REFLASH_ROUNDS'] = '200'
  const stryker = new Stryker({
    testRunner: 'vitest',
    plugins: [import.meta.resolve('@stryker-mutator/vitest-runner')],
    vitest: { configFile: 'test/mutation/vitest.config.ts' },
    mutate: [...options.files],
    coverageAnalysis: 'perTest',
    concurrency: options.jobs,
    tempDirName: join(tmpdir(), `reflash-mutants-${process.pid}`),
    // It would be rewritten with an API that the native compiler does not have, and nothing here needs it.
    tsconfigFile: 'none.json',
    disableTypeChecks: false,
    reporters: [],
    // An ambient enum, which a module of its own cannot name.
    logLevel: 'off' as never,
    allowConsoleColors: false,
  })
  return stryker.runMutationTest()
}
