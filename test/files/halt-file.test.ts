import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { haltFile } from '../../src/adapters/files/halt-file.ts'

const makeFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-halt-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

test('nothing is halted without it', async () => {
  expect(await haltFile(join(await makeFolder(), 'HALT')).halted()).toBeUndefined()
})

test.each([
  { what: 'a file', make: (path: string) => writeFile(path, '') },
  { what: 'a link to nothing', make: (path: string) => symlink('nothing', path) },
])('$what halts as long as it is there', async ({ make }) => {
  const path = join(await makeFolder(), 'HALT')
  await make(path)
  const brake = haltFile(path)
  expect(await brake.halted()).toBe(`${path} exists; remove it to allow starts again`)
  await rm(path)
  expect(await brake.halted()).toBeUndefined()
})

test('what cannot be looked at halts as well', async () => {
  const folder = await makeFolder()
  await symlink('loop', join(folder, 'loop'))
  const path = join(folder, 'loop', 'HALT')
  expect(await haltFile(path).halted()).toMatch(
    new RegExp(String.raw`^whether \S+/loop/HALT exists cannot be told: ELOOP`),
  )
})
