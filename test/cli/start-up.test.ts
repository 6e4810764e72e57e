import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { commandDocs } from '../docs/command-docs.ts'
import { ended } from '../support/cli.ts'
import { makeTree } from '../support/tree.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Each takes longer to load than all else that a help text needs. */
const heavy = [
  'ssh2',
  'ajv',
  'yaml',
  'chokidar',
  'pino',
  'undici',
  'hono',
  'node:sqlite',
  '@kubernetes/client-node',
  '@prometheus-io/client',
  'p-queue',
]

/** Packages and built-in modules that a call loads, each by its name. */
async function modulesOf(args: readonly string[]): Promise<Set<string>> {
  const file = join(await makeTree(), 'modules')
  const { code, stderr } = await ended(
    spawn(
      process.execPath,
      ['--import', here('../support/module-list-process.ts'), here('../../src/main.ts'), ...args],
      {
        env: { ...process.env, REFLASH_MODULES: file },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    ),
  )
  expect(code, stderr).toBe(0)
  const urls = (await readFile(file, 'utf8')).split('\n')
  return new Set(urls.map((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? url))
}

describe('starting up', () => {
  test.each([
    ['--help'],
    ['--version'],
    ...commandDocs.slice(1).map(({ name }) => [name.replace('reflash ', ''), '--help']),
    ['completion', 'bash'],
    ['complete', '--', 'validate', '-o', ''],
    ['complete', '--', 'get', 'devices', ''],
  ])('loads nothing heavy: %s %s %s', async (...args) => {
    const modules = await modulesOf(args.filter((word) => word !== undefined))
    expect(modules).toContain('commander')
    expect(heavy.filter((name) => modules.has(name))).toEqual([])
  })

  test('is seen, where something heavy is loaded', async () => {
    const modules = await modulesOf(['validate', here('../../examples/quickstart')])
    expect(heavy.filter((name) => modules.has(name))).toEqual(
      expect.arrayContaining(['ajv', 'yaml', 'node:sqlite']),
    )
  })
})
