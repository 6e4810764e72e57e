import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real routers and processes stand behind some suites; a hang there must end with a name, not with the job.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
