import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replayDockerfile, type Stage } from '../support/docker-build.ts'
import { requires } from '../support/requires.ts'

const top = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(join(top, path), 'utf8')

requires('npm')('the image', () => {
  let folder: string
  let stages: Map<string, Stage>
  let final: Stage
  let app: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reflash-image-'))
    stages = await replayDockerfile(top, folder)
    final = stages.get('final')!
    app = join(final.root, final.workdir)
  }, 600_000)
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Starts it as a container would, with words after its entry point. */
  const start = async (...words: string[]): Promise<string> => {
    const [program, ...args] = [...final.entrypoint, ...words]
    const env = { PATH: process.env['PATH'], ...final.env }
    const { stdout } = await promisify(execFile)(program!, args, { cwd: app, env })
    return stdout
  }

  test('starts from what was copied, and from nothing else', async () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    expect(await start('--version')).toBe(`${version}\n`)
    expect(await start('--help')).toContain('Usage: reflash')
    expect(await start('crds')).toContain('kind: CustomResourceDefinition')
    expect((await readdir(app)).toSorted()).toEqual([
      'LICENSE',
      'crds',
      'dist',
      'node_modules',
      'package.json',
    ])
  })

  test('has all packages that run, and none that only build', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { dev?: boolean; devOptional?: boolean }>
    }
    const needed = Object.keys(packages).filter((path) => {
      const { dev = false, devOptional = false } = packages[path]!
      return path !== '' && !dev && !devOptional
    })
    const there = globSync('node_modules/**/package.json', { cwd: app })
      .map((path) => path.replace(/\/package\.json$/, ''))
      .filter((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path))
    expect(there.toSorted()).toEqual(needed.toSorted())
  })

  test('runs as nobody, without a shell, as the controller', () => {
    expect(final.user).toBe('65532:65532')
    expect(final.entrypoint).toEqual(['node', 'dist/main.js'])
    expect(final.command).toEqual(['controller'])
  })

  test('is made of the Node that the tests run on', () => {
    const [major] = process.versions.node.split('.')
    for (const { image } of stages.values()) expect(image).toMatch(new RegExp(`^node:${major}[.-]`))
  })
})

describe('the context', () => {
  test('is what the Dockerfile copies', () => {
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) =>
      paths!.split(' '),
    )
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(kept[0]).toBe('*')
    expect(new Set(kept.slice(1))).toEqual(new Set(copied.map((path) => `!${path}`)))
  })
})
