import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { validateDirectory } from '../../src/app.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { exampleFleet } from '../support/example-fleet.ts'

const root = fileURLToPath(new URL('../../examples/', import.meta.url))
const manifests = globSync('**/*.yaml', { cwd: root })

async function validate(folder: string) {
  const { objects, problems } = await validateDirectory(folder, {}, new AbortController().signal)
  return { objects, problems: problems.map(({ text }) => text) }
}

/** The images are made, not built: a router refuses them, and a validator takes them for real. */
const images = [
  {
    file: 'quickstart/images/archer-c7-v5-24.10.8.bin',
    release: knownReleases['24.10.8'],
    board: 'tplink,archer-c7-v5',
  },
  {
    file: 'gitops/firmware/images/unifiac-lite-23.05.6.bin',
    release: knownReleases['23.05.6'],
    board: 'ubnt,unifiac-lite',
  },
  {
    file: 'gitops/firmware/images/unifiac-lite-24.10.8.bin',
    release: knownReleases['24.10.8'],
    board: 'ubnt,unifiac-lite',
  },
]

describe('the examples', () => {
  test('are valid together, as one directory', async () => {
    expect(await validate(root)).toEqual({ objects: 20, problems: [] })
  })

  test.each([
    ['quickstart', 5],
    ['custom-upgrader', 5],
  ])('%s is valid by itself', async (name, objects) => {
    expect(await validate(join(root, name))).toEqual({ objects, problems: [] })
  })

  test('gitops lacks nothing but its Secret, which is kept outside of git', async () => {
    const { objects, problems } = await validate(join(root, 'gitops'))
    expect(objects).toBe(10)
    expect(problems.length).toBe(3)
    for (const problem of problems) {
      expect(problem).toMatch(
        /warning: .*there is no Secret routers in namespace default in the directory; give its folder with --secrets$/,
      )
    }
  })

  test.each(images)('$file is what the simulator makes', ({ file, release, board }) => {
    const made = makeFirmware({ ...release, boards: [board], sizeBytes: 4096 })
    expect(readFileSync(join(root, file)).equals(made)).toBe(true)
  })

  test.each(
    manifests.filter((file) => /^apiVersion: reflash\.dev\//m.test(readFileSync(join(root, file), 'utf8'))),
  )('%s names its schema for editors', (file) => {
    const [first = ''] = readFileSync(join(root, file), 'utf8').split('\n')
    const schema = /^# yaml-language-server: \$schema=(\S+)$/.exec(first)?.[1]
    expect(schema).toMatch(/\/crds\/reflash\.schema\.json$/)
    expect(existsSync(resolve(root, dirname(file), schema!))).toBe(true)
  })
})

test('a whole fleet in one file, as the documentation shows it, is accepted', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reflash-whole-'))
  try {
    writeFileSync(join(folder, 'fleet.yaml'), exampleFleet)
    mkdirSync(join(folder, 'images'))
    const image = makeFirmware({
      ...knownReleases['24.10.8'],
      boards: ['tplink,archer-c7-v5'],
      sizeBytes: 4096,
    })
    writeFileSync(join(folder, 'images/archer-c7-v5-24.10.8.bin'), image)
    expect(await validate(folder)).toEqual({ objects: 5, problems: [] })
    const [written, ...comments] = readFileSync(join(root, 'quickstart/fleet.yaml'), 'utf8')
      .split(/(?<=schema\.json)\n/)
      .toReversed()
    expect(comments.length).toBe(1)
    expect(exampleFleet.startsWith(written!)).toBe(true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
