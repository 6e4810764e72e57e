import { defineConfig } from 'vitest/config'

/** The tests of one group of mutants, and no others: each mutant costs a run of those that reach it. */
export default defineConfig({
  test: { include: (process.env['REFLASH_MUTATION_TESTS'] ?? '').split(','), testTimeout: 60_000 },
})
