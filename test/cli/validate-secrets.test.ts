import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { reflash } from '../support/cli.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reflash-secrets-'))
  mkdirSync(join(folder, 'routers'))
  writeFileSync(join(folder, 'routers', 'username'), 'root\n')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('Secrets that are mounted elsewhere count as declared', async () => {
  writeFileSync(join(folder, 'routers', 'password'), 'correct-horse\n')
  const { code, stdout } = await reflash(['validate', 'examples/gitops', '--secrets', folder])
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
})

test('a mounted Secret that nobody can log in with is named', async () => {
  const { code, stdout } = await reflash(['validate', 'examples/gitops', '--secrets', folder])
  expect(code).toBe(1)
  expect(stdout).toContain(
    'sites/berlin/devices.yaml:5:91: spec.credentialsRef: Secret routers in namespace default needs a password or an ssh-privatekey',
  )
})

test('a folder of Secrets that is not there is said so', async () => {
  const { code, stderr } = await reflash(['validate', 'examples/gitops', '--secrets', join(folder, 'none')])
  expect(code).toBe(2)
  expect(stderr).toContain('the folder of Secrets')
})
