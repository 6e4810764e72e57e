import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const tests = 'test/**/*.test.ts'
/** Takes every core by itself. */
const worlds = 'test/simulation/fleet.test.ts'

export default defineConfig({
  // The examples import the package by its name, as its users do.
  resolve: {
    alias: [{ find: /^reflash$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) }],
  },
  test: {
    projects: [
      { extends: true, test: { name: 'worlds', include: [worlds], sequence: { groupOrder: 1 } } },
      {
        extends: true,
        test: { name: 'all else', include: [tests], exclude: [worlds], sequence: { groupOrder: 2 } },
      },
    ],
    // One leaves two cores idle while it waits for processes and routers; with more of them the limits of real time get tight.
    maxWorkers: 2,
    // Many suites start processes, hundreds of them: each takes what an earlier one has compiled.
    env: {
      NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/reflash-compiled', import.meta.url)),
    },
    // Real routers and processes stand behind some suites; a hang there must end with a name, not with the job.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Tests that run beside each other wait more than they work.
    maxConcurrency: 16,
  },
})
