import { execFileSync } from 'node:child_process'
import { mkdir, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { DeclaredSecret } from '../../src/adapters/files/revision.ts'
import { createSecrets, credentialProblem } from '../../src/adapters/files/secrets.ts'
import { makeTree, writeTo } from '../support/tree.ts'

const declaredAs = (name: string, entries: Record<string, string>): ReadonlyMap<string, DeclaredSecret> =>
  new Map([
    [
      `Secret/default/${name}`,
      { file: 'site/secret.yaml', line: 3, column: 1, secret: { namespace: 'default', name, entries } },
    ],
  ])

const routers = { namespace: 'default', name: 'routers' }
const inFolder = (folder: string) => createSecrets({ declared: () => new Map(), folder })

describe('a Secret of the directory', () => {
  it('is that of the revision in force at the moment of use', async () => {
    let entries: Record<string, string> = { username: 'root', password: 'old' }
    const secrets = createSecrets({ declared: () => declaredAs('routers', entries) })
    expect(await secrets.read(routers)).toEqual(entries)
    entries = { username: 'root', password: 'new' }
    expect(await secrets.read(routers)).toEqual(entries)
    expect(await secrets.read({ namespace: 'other', name: 'routers' })).toBeUndefined()
    expect(await secrets.read({ namespace: 'default', name: 'constructor' })).toBeUndefined()
  })

  it('loses the line end that an editor has left behind a password, but not that of a key', async () => {
    const entries = {
      username: 'root\n',
      password: ' two words \r\n',
      passphrase: 'x\n\n',
      'ssh-privatekey': '-----BEGIN\n',
    }
    const secrets = createSecrets({ declared: () => declaredAs('routers', entries) })
    expect(await secrets.read(routers)).toEqual({
      username: 'root',
      password: ' two words ',
      passphrase: 'x\n',
      'ssh-privatekey': '-----BEGIN\n',
    })
  })
})

describe('a mounted Secret', () => {
  it('is a folder with a file for each entry, read at each use', async () => {
    const folder = await makeTree({
      'routers/username': 'root\n',
      'routers/password': 'old',
      'routers/.hidden': 'x',
    })
    const secrets = inFolder(folder)
    expect(await secrets.read(routers)).toEqual({ username: 'root', password: 'old' })
    await writeTo(folder, 'routers/password', 'new')
    expect(await secrets.read(routers)).toEqual({ username: 'root', password: 'new' })
    expect(await secrets.read({ namespace: 'other', name: 'routers' })).toBeUndefined()
    expect(await secrets.read({ namespace: 'default', name: 'nobody' })).toBeUndefined()
  })

  it('is all of one version, as a cluster exchanges it', async () => {
    const folder = await makeTree({ 'routers/..v1/password': 'old', 'routers/..v2/password': 'new' })
    const place = join(folder, 'routers')
    await symlink('..v1', join(place, '..data'))
    await symlink('..data/password', join(place, 'password'))
    const secrets = inFolder(folder)
    expect(await secrets.read(routers)).toEqual({ password: 'old' })
    await symlink('..v2', join(place, '..next'))
    await rename(join(place, '..next'), join(place, '..data'))
    expect(await secrets.read(routers)).toEqual({ password: 'new' })
  })

  it('cannot be reached by a name that is a path', async () => {
    const parent = await makeTree({ 'outside/password': 'x', 'mounted/routers/password': 'y' })
    const secrets = inFolder(join(parent, 'mounted'))
    for (const name of ['../outside', '..', '.', '', 'routers/..', '/etc']) {
      expect(await secrets.read({ namespace: 'default', name })).toBeUndefined()
    }
  })

  it.each([
    [
      'an entry that leads out',
      'ln -s /etc/hostname mounted/routers/password',
      'Secret routers has an entry that leads out of the folder of mounted Secrets',
    ],
    [
      'a folder that leads out',
      'rmdir mounted/routers; ln -s /etc mounted/routers',
      'Secret routers leads out of the folder of mounted Secrets',
    ],
    ['a pipe', 'mkfifo mounted/routers/password', 'Secret routers has an entry that is no file'],
    ['a folder in it', 'mkdir mounted/routers/password', 'Secret routers has an entry that is no file'],
    [
      'more than 64 KiB',
      'head -c 65537 /dev/zero >mounted/routers/password',
      'Secret routers has an entry of more than 64 KiB',
    ],
  ])('with %s is refused', async (_, script, message) => {
    const parent = await makeTree()
    await mkdir(join(parent, 'mounted/routers'), { recursive: true })
    execFileSync('sh', ['-c', script], { cwd: parent })
    await expect(inFolder(join(parent, 'mounted')).read(routers)).rejects.toMatchObject({
      code: 'CredentialsInvalid',
      message,
    })
  })

  it('is tried again later when its folder cannot be read now', async () => {
    const parent = await makeTree()
    await expect(inFolder(join(parent, 'gone')).read(routers)).rejects.toMatchObject({
      code: 'NotFound',
      recoverable: true,
      message: 'Secret routers cannot be read: ENOENT',
    })
  })
})

it('a Secret in two places is neither', async () => {
  const folder = await makeTree({ 'routers/password': 'y' })
  const secrets = createSecrets({ declared: () => declaredAs('routers', { password: 'x' }), folder })
  await expect(secrets.read(routers)).rejects.toMatchObject({
    code: 'CredentialsInvalid',
    message:
      'Secret routers is in two places, site/secret.yaml:3 and the folder of mounted Secrets; remove one',
  })
})

describe('what a login needs', () => {
  const key = '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n'
  it.each([
    ['a password', { username: 'root', password: 'x' }, undefined],
    ['an empty password, as after a reset', { username: 'root', password: '' }, undefined],
    ['a key', { username: 'root', 'ssh-privatekey': key }, undefined],
    [
      'a key of its own kind',
      { username: 'root', 'ssh-privatekey': '-----BEGIN PRIVATE KEY-----\n' },
      undefined,
    ],
    ['no name', { password: 'x' }, 'needs a username'],
    ['an empty name', { username: '\n', password: 'x' }, 'needs a username'],
    ['a name alone', { username: 'root' }, 'needs a password or an ssh-privatekey'],
    [
      'the public half',
      { username: 'root', 'ssh-privatekey': 'ssh-ed25519 AAAA' },
      'has an ssh-privatekey that is no private key; it begins with -----BEGIN',
    ],
    [
      'an empty key',
      { username: 'root', 'ssh-privatekey': '' },
      'has an ssh-privatekey that is no private key; it begins with -----BEGIN',
    ],
  ])('%s', (_, entries, problem) => {
    expect(credentialProblem(entries)).toBe(problem)
  })
})
