import { createHash } from 'node:crypto'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkImageFiles, checkReferences } from '../../src/adapters/files/check-references.ts'
import { openDirectory, type Revision } from '../../src/adapters/files/directory-source.ts'
import { inspectImage } from '../../src/adapters/images/inspect-image.ts'
import { exampleFleet, manifestText } from '../support/example-fleet.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { diagnosticsOf } from '../support/followed-directory.ts'
import { makeTree } from '../support/tree.ts'

const revisionOf = async (files: Record<string, string>): Promise<Revision> =>
  openDirectory(await makeTree(files), { clock: createFastClock(20) }).readOnce()

const complaints = async (files: Record<string, string>): Promise<string[]> =>
  diagnosticsOf({ problems: checkReferences(await revisionOf(files)) })

const base = [
  manifestText('Category', 'ap', '{}'),
  manifestText('Category', 'gateway', '{}'),
  manifestText('Build', 'b', '{categoryRef: {name: ap}, version: "1"}'),
  manifestText('FirmwareImage', 'i', '{buildRef: {name: b}, source: {path: a.bin}}'),
].join('---\n')
const secret =
  'apiVersion: v1\nkind: Secret\nmetadata: {name: routers}\nstringData: {username: root, password: x}\n'
const device = (rest = ''): string =>
  manifestText(
    'Device',
    'd',
    `{categoryRef: {name: ap}, addresses: [a], credentialsRef: {name: routers}${rest}}`,
  )

describe('references', () => {
  it('of the example of the documentation are all there', async () => {
    expect(await complaints({ 'fleet.yaml': exampleFleet })).toEqual([])
  })

  it.each([
    [
      'a category',
      manifestText('Build', 'x', '{categoryRef: {name: nope}, version: "1"}'),
      'spec.categoryRef: there is no Category nope in namespace default',
    ],
    [
      'a build of an image',
      manifestText('FirmwareImage', 'x', '{buildRef: {name: nope}, source: {path: a}}'),
      'spec.buildRef: there is no Build nope in namespace default',
    ],
    [
      'a category of a device',
      device().replace('name: ap', 'name: nope'),
      'spec.categoryRef: there is no Category nope in namespace default',
    ],
    [
      'a pinned build',
      device(', pinnedBuildRef: {name: nope}'),
      'spec.pinnedBuildRef: there is no Build nope in namespace default',
    ],
    [
      'the target of a policy',
      manifestText('UpgradePolicy', 'p', '{categoryRef: {name: ap}, target: {buildRef: {name: nope}}}'),
      'spec.target.buildRef: there is no Build nope in namespace default',
    ],
    [
      'the device of an operation',
      manifestText('UpgradeOperation', 'o', '{deviceRef: {name: nope}, buildRef: {name: b}}'),
      'spec.deviceRef: there is no Device nope in namespace default',
    ],
    [
      'the image of an operation',
      `${device()}---\n${manifestText('UpgradeOperation', 'o', '{deviceRef: {name: d}, imageRef: {name: nope}}')}`,
      'spec.imageRef: there is no FirmwareImage nope in namespace default',
    ],
    [
      'credentials',
      device().replace('routers', 'nope'),
      'spec.credentialsRef: there is no Secret nope in namespace default',
    ],
    [
      'credentials of a jump host',
      device(', jumpHost: {address: j, credentialsRef: {name: nope}, hostKeys: [ssh-ed25519 AAAA]}'),
      'spec.jumpHost.credentialsRef: there is no Secret nope in namespace default',
    ],
  ])('to %s that is missing are errors', async (_, text, message) => {
    const [complaint, ...others] = await complaints({
      'base.yaml': base,
      'secret.yaml': secret,
      'x.yaml': text,
    })
    // The place is that of the name which leads nowhere.
    const before = text.slice(0, text.indexOf('nope')).split('\n')
    expect(complaint).toBe(`x.yaml:${before.length}:${before.at(-1)!.length + 1}: ${message}`)
    expect(others).toEqual([])
  })

  it('look in their own namespace only', async () => {
    const elsewhere = device().replace('metadata: {name: d}', 'metadata: {name: d, namespace: other}')
    expect(await complaints({ 'base.yaml': base, 'secret.yaml': secret, 'x.yaml': elsewhere })).toEqual([
      'x.yaml:4:28: spec.categoryRef: there is no Category ap in namespace other',
      'x.yaml:4:72: spec.credentialsRef: there is no Secret routers in namespace other',
    ])
  })

  it('to a Secret are warnings where no Secret is kept in the directory', async () => {
    expect(await complaints({ 'base.yaml': base, 'x.yaml': device() })).toEqual([
      'x.yaml:4:72: warning: spec.credentialsRef: there is no Secret routers in namespace default in the directory; give its folder with --secrets',
    ])
  })

  it('to a Secret that nobody can log in with are errors, without a word of the Secret', async () => {
    const useless = secret.replace('password: x', 'token: hunter2')
    expect(await complaints({ 'base.yaml': base, 'secret.yaml': useless, 'x.yaml': device() })).toEqual([
      'x.yaml:4:72: spec.credentialsRef: Secret routers in namespace default needs a password or an ssh-privatekey',
    ])
  })

  it('to what is declared but refused are no second mistake', async () => {
    const files = {
      'base.yaml': base.replace(
        'kind: Category\nmetadata: {name: ap}\nspec: {}',
        'kind: Category\nmetadata: {name: ap}\nspec: {colour: x}',
      ),
    }
    expect(await complaints({ ...files, 'secret.yaml': secret, 'x.yaml': device() })).toEqual([])
  })

  it('to nothing are no mistake while some file is broken, since it may be in there', async () => {
    expect(await complaints({ 'broken.yaml': '"', 'x.yaml': device() })).toEqual([])
  })
})

it('a policy and its target must be of one category', async () => {
  const policy = manifestText(
    'UpgradePolicy',
    'p',
    '{categoryRef: {name: gateway}, target: {buildRef: {name: b}}}',
  )
  expect(await complaints({ 'base.yaml': base, 'x.yaml': policy })).toEqual([
    'x.yaml:4:64: spec.target.buildRef: Build b is of category ap, not gateway',
  ])
})

describe('the file of an image', () => {
  const image = (path: string): string =>
    `${base}---\n${manifestText('FirmwareImage', 'x', `{buildRef: {name: b}, source: {path: ${path}}}`)}`

  it.each([
    ['above the manifest', '../../etc/shadow'],
    ['above it on the way', 'a/../../x'],
    ['absolute', '/etc/shadow'],
    ['with a zero byte', '"a\\0b"'],
    ['encoded', '"%2e%2E/x"'],
    ['deeper than any image', `${'a/'.repeat(16)}x`],
  ])('cannot be %s', async (_, path) => {
    expect(await complaints({ 'x.yaml': image(path) })).toEqual([
      'x.yaml:24:44: spec.source.path: must be relative, without "..", and beside the manifest or below it',
    ])
  })

  it('is looked for beside the manifest, then among the images', async () => {
    const images = await makeTree({ 'second.bin': '' })
    const revision = await revisionOf({
      'site/x.yaml': ['first.bin', 'second.bin', 'third.bin']
        .map((path, index) =>
          manifestText('FirmwareImage', `i${index}`, `{buildRef: {name: b}, source: {path: ${path}}}`),
        )
        .join('---\n'),
      'site/first.bin': '',
    })
    expect(diagnosticsOf({ problems: await checkImageFiles(revision, { imagesFolder: images }) })).toEqual([
      'site/x.yaml:14:44: warning: spec.source.path: there is no file "third.bin" beside the manifest nor in the images folder',
    ])
    expect(diagnosticsOf({ problems: await checkImageFiles(revision) })).toEqual([
      'site/x.yaml:9:44: warning: spec.source.path: there is no file "second.bin" beside the manifest',
      'site/x.yaml:14:44: warning: spec.source.path: there is no file "third.bin" beside the manifest',
    ])
  })

  it.each([
    [
      'has another digest than the declared one',
      'x.yaml:4:37: spec.sha256: "a.bin": the image has the SHA-256 HASH, expected is ' + 'ab'.repeat(32),
      { sha256: 'ab'.repeat(32) },
    ],
    [
      'names no boards',
      'x.yaml:4:44: spec.source.path: "a.bin": the image carries no metadata: list its boards in spec.boards',
      {},
    ],
    ['is empty', 'x.yaml:4:57: spec.source.path: "a.bin": the image is empty', { boards: ['x'], text: '' }],
    [
      'is a folder',
      'x.yaml:4:57: spec.source.path: "a.bin": is not a regular file',
      { boards: ['x'], path: 'a.bin/b' },
    ],
  ] as const)(
    'is refused when it %s',
    async (
      _,
      problem,
      {
        sha256,
        boards,
        path = 'a.bin',
        text = 'firmware',
      }: Partial<Record<'sha256' | 'path' | 'text', string>> & { boards?: readonly string[] },
    ) => {
      const more = `${sha256 === undefined ? '' : `sha256: ${sha256}, `}${boards === undefined ? '' : `boards: [${boards.join()}], `}`
      const manifest = manifestText(
        'FirmwareImage',
        'x',
        `{buildRef: {name: b}, ${more}source: {path: a.bin}}`,
      )
      const revision = await revisionOf({ 'x.yaml': manifest, [path]: text })
      const inspect = (file: string) => inspectImage(file, async () => ({}))
      const hash = createHash('sha256').update(text).digest('hex')
      expect(diagnosticsOf({ problems: await checkImageFiles(revision, { inspect }) })).toEqual([
        problem.replace('HASH', hash),
      ])
      expect(await checkImageFiles(revision)).toEqual([])
    },
  )

  it('cannot be a link that leads out', async () => {
    const root = await makeTree({ 'x.yaml': image('out.bin'), 'a.bin': '' })
    await symlink('/etc/hostname', join(root, 'out.bin'))
    const revision = await openDirectory(root, { clock: createFastClock(20) }).readOnce()
    expect(diagnosticsOf({ problems: await checkImageFiles(revision) })).toEqual([
      'x.yaml:24:44: spec.source.path: "out.bin" is a link that leads out of its folder',
    ])
  })
})
