import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // The examples import the package by its name, as its users do.
  resolve: {
    alias: [{ find: /^reflash$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Many suites wait for processes and routers: on two cores one worker leaves much of them idle.
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
