import { chmod, mkdir, rename, rm, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { openDirectory, type Revision } from '../../src/adapters/files/directory-source.ts'
import type { Manifest } from '../../src/api/resources.ts'
import { deviceText, exampleFleet, manifestText } from '../support/example-fleet.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { diagnosticsOf, followDirectory } from '../support/followed-directory.ts'
import { makeTree, writeTo } from '../support/tree.ts'
import { until } from '../support/until.ts'

const categoryText = (name: string, description: string): string =>
  manifestText('Category', name, `{description: ${description}}`)
const ids = ({ objects }: Revision): string[] => [...objects.keys()].toSorted()
const addressOf = ({ objects }: Revision, name: string): string | undefined =>
  (objects.get(`Device/default/${name}`)?.manifest as Manifest<'Device'> | undefined)?.spec.addresses[0]

const readOnce = (root: string): Promise<Revision> =>
  openDirectory(root, { clock: createFastClock(20) }).readOnce()

describe('a revision', () => {
  it('holds every object with its place, Secrets apart, and the commit', async () => {
    const commit = 'a'.repeat(40)
    const root = await makeTree({
      'site/fleet.yaml': exampleFleet,
      '.git/HEAD': commit,
      'other.yaml': 'on: push\n',
    })
    const revision = await readOnce(root)
    expect(revision).toMatchObject({
      label: commit,
      root,
      problems: [],
      skipped: 1,
      incomplete: false,
      vanished: false,
    })
    expect(ids(revision)).toEqual([
      'Build/default/indoor-ap-24.10.8',
      'Category/default/indoor-ap',
      'Device/default/ap-17',
      'FirmwareImage/default/archer-c7-v5-24.10.8',
      'UpgradePolicy/default/indoor-ap',
    ])
    const image = revision.objects.get('FirmwareImage/default/archer-c7-v5-24.10.8')
    expect(image).toMatchObject({ file: 'site/fleet.yaml', folder: 'site', line: 11, column: 1 })
    expect(revision.secrets.get('Secret/default/routers')?.secret.entries['username']).toBe('root')
  })

  it('shows no Secret when it is printed', async () => {
    const revision = await readOnce(await makeTree({ 'fleet.yaml': exampleFleet }))
    expect(JSON.stringify(revision)).not.toContain('correct-horse')
  })

  it('has every problem, ordered by file and line', async () => {
    const root = await makeTree({
      'b.yaml': categoryText('x', '1'),
      'a.yaml': `${categoryText('y', '2')}---\n{`,
      'c.yaml': categoryText('z', '[]'),
    })
    expect(diagnosticsOf(await readOnce(root))).toEqual([
      'a.yaml:6:2: a character is missing here: a colon, a comma, a closing quote or a bracket',
      'b.yaml:4:21: spec.description: must be a string, quote it: "1"',
      'c.yaml:4:8: spec.description: must be a string, found a list of 0',
    ])
  })
})

describe('following a directory', () => {
  it('gives each change of its files', async () => {
    const root = await makeTree({ 'a.yaml': deviceText('d1') })
    const directory = followDirectory(root)
    await directory.until('the first revision', (revision) => ids(revision).join() === 'Device/default/d1')
    await writeTo(root, 'sub/b.yaml', deviceText('d2'))
    await directory.until('an object of a new folder', (revision) =>
      revision.objects.has('Device/default/d2'),
    )
    await writeTo(root, 'sub/b.yaml', deviceText('d2', '192.0.2.99'))
    await directory.until('an edited object', (revision) => addressOf(revision, 'd2') === '192.0.2.99')
    await rename(join(root, 'a.yaml'), join(root, 'c.yaml'))
    const renamed = await directory.until(
      'a renamed file',
      ({ objects }) => objects.get('Device/default/d1')?.file === 'c.yaml',
    )
    expect(renamed.problems).toEqual([])
    await unlink(join(root, 'c.yaml'))
    const last = await directory.until('a removed object', ({ objects }) => !objects.has('Device/default/d1'))
    expect(ids(last)).toEqual(['Device/default/d2'])
    expect(last).toMatchObject({ incomplete: false, vanished: false })
  })

  it('takes a change up within two seconds of its last write', async () => {
    const root = await makeTree({ 'a.yaml': deviceText('d1') })
    const directory = followDirectory(root, { inRealTime: true })
    await directory.until('the first revision', () => true)
    await writeTo(root, 'b.yaml', deviceText('d2'))
    const writtenMs = performance.now()
    await directory.until('the change', (revision) => revision.objects.has('Device/default/d2'))
    expect(performance.now() - writtenMs).toBeLessThan(2000)
  })

  it('gives nothing while nothing changes, and ends when it is told to', async () => {
    const root = await makeTree({ 'a.yaml': deviceText('d1') })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'README.md', 'hello')
    await writeTo(root, 'a.yaml', deviceText('d1'))
    await until('the file written anew is read', () => directory.read.length === 2)
    await writeTo(root, 'b.yaml', deviceText('d2'))
    await directory.until('the next revision', (revision) => revision.objects.has('Device/default/d2'))
    expect(directory.parsed).toEqual(['a.yaml', 'b.yaml'])
    await directory.end()
    expect(directory.source.latest()).toBe(directory.revisions.at(-1))
  })

  it('reads and parses one file when one of two hundred has changed', async () => {
    const files = Array.from({ length: 200 }, (_, file): [string, string] => [
      `site-${file}.yaml`,
      Array.from({ length: 10 }, (__, index) => deviceText(`ap-${file}-${index}`)).join('---\n'),
    ])
    const root = await makeTree(Object.fromEntries(files))
    const directory = followDirectory(root)
    const first = await directory.until('the first revision', () => true)
    expect(first.objects.size).toBe(2000)
    expect(directory.parsed).toHaveLength(200)
    directory.forget()
    await writeTo(root, 'site-7.yaml', deviceText('ap-7-0', '192.0.2.7'))
    const second = await directory.until('the change', () => true)
    expect(second.objects.size).toBe(1991)
    expect(directory.read).toEqual(['site-7.yaml'])
    expect(directory.parsed).toEqual(['site-7.yaml'])
  })

  it('never takes up a file that changes between two looks, however valid it is', async () => {
    const root = await makeTree({ 'a.yaml': deviceText('d1') })
    const clock = createManualClock()
    const source = openDirectory(root, { clock })
    const reading = source.readOnce()
    const look = async (): Promise<void> => {
      await until('the look is over', () => clock.nextWakeMs() !== undefined)
      expect(source.latest()).toBeUndefined()
    }
    const spec =
      '\n  categoryRef: {name: ap}\n  target: {buildRef: {name: b}}\n  limits: {maxConcurrent: 2}\n  state: Pause'
    const policy = manifestText('UpgradePolicy', 'ap', spec)
    for (let length = 0; length < policy.length; length += 8) {
      await look()
      await writeTo(root, 'policy.yaml', policy.slice(0, length))
      await clock.advance(500)
    }
    await look()
    await writeTo(root, 'policy.yaml', policy)
    await clock.advance(500)
    await look()
    await clock.advance(500)
    const whole = await reading
    expect(diagnosticsOf(whole)).toEqual([])
    expect(whole.objects.get('UpgradePolicy/default/ap')).toMatchObject({
      manifest: { spec: { limits: { maxConcurrent: 2 }, state: 'Pause' } },
    })
  })

  it('waits while git writes, says so after half a minute, and goes on when it has finished', async () => {
    const root = await makeTree({
      'a.yaml': deviceText('d1'),
      '.git/HEAD': 'a'.repeat(40),
      '.git/index.lock': '',
    })
    const directory = followDirectory(root)
    await until('a word about it', () => directory.restless.length > 0)
    expect(directory.restless).toEqual(['git is writing: .git/index.lock is there'])
    expect(directory.revisions).toEqual([])
    await unlink(join(root, '.git/index.lock'))
    await directory.until('the first revision', (revision) => revision.objects.has('Device/default/d1'))
  })

  it('notices a commit that changes no file', async () => {
    const root = await makeTree({ 'a.yaml': deviceText('d1'), '.git/HEAD': 'a'.repeat(40) })
    const directory = followDirectory(root)
    await directory.until('the first commit', ({ label }) => label === 'a'.repeat(40))
    await writeTo(root, '.git/HEAD', 'b'.repeat(40))
    await directory.until('the second commit', ({ label }) => label === 'b'.repeat(40))
  })

  it('follows a link that is turned to another tree, as git-sync does', async () => {
    const root = await makeTree({
      'one/a.yaml': deviceText('d1'),
      'two/a.yaml': deviceText('d2'),
      'two/sub/b.yaml': deviceText('d3'),
    })
    await symlink('one', join(root, 'current'))
    const directory = followDirectory(join(root, 'current'))
    await directory.until('the first tree', (revision) => revision.objects.has('Device/default/d1'))
    await symlink('two', join(root, 'next'))
    await rename(join(root, 'next'), join(root, 'current'))
    const turned = await directory.until('the second tree', (revision) =>
      revision.objects.has('Device/default/d3'),
    )
    expect(ids(turned)).toEqual(['Device/default/d2', 'Device/default/d3'])
    expect(turned.root).toBe(join(root, 'two'))
    await writeTo(root, 'two/sub/b.yaml', deviceText('d3', '192.0.2.33'))
    await directory.until(
      'a change in the second tree',
      (revision) => addressOf(revision, 'd3') === '192.0.2.33',
    )
  })

  it('follows a mounted ConfigMap, whose files are links into a folder that is exchanged', async () => {
    const root = await makeTree({
      '..v1/a.yaml': deviceText('d1'),
      '..v2/a.yaml': deviceText('d1', '192.0.2.2'),
    })
    await symlink('..v1', join(root, '..data'))
    await symlink('..data/a.yaml', join(root, 'a.yaml'))
    const directory = followDirectory(root)
    await directory.until('the first version', (revision) => addressOf(revision, 'd1') === '192.0.2.1')
    await symlink('..v2', join(root, '..next'))
    await rename(join(root, '..next'), join(root, '..data'))
    const second = await directory.until(
      'the second version',
      (revision) => addressOf(revision, 'd1') === '192.0.2.2',
    )
    expect(second.objects.get('Device/default/d1')).toMatchObject({ file: 'a.yaml', folder: '.' })
  })
})

describe('a directory that is gone', () => {
  it.each([
    ['removed', (root: string) => rm(root, { recursive: true })],
    ['moved', (root: string) => rename(root, `${root}-moved`)],
    ['emptied', (root: string) => unlink(join(root, 'a.yaml'))],
  ])('because it was %s keeps its objects, and is read again when it is back', async (_, remove) => {
    const parent = await makeTree({ 'fleet/a.yaml': deviceText('d1') })
    const root = join(parent, 'fleet')
    const directory = followDirectory(root)
    const first = await directory.until('the first revision', () => true)
    await remove(root)
    const gone = await directory.until('its end', ({ vanished }) => vanished)
    expect(gone.objects).toEqual(first.objects)
    await mkdir(root, { recursive: true })
    await writeTo(root, 'a.yaml', deviceText('d2'))
    const back = await directory.until('its return', (revision) => revision.objects.has('Device/default/d2'))
    expect(ids(back)).toEqual(['Device/default/d2'])
    expect(back.vanished).toBe(false)
  })

  it('or was never there holds nothing', async () => {
    const root = await makeTree()
    for (const path of [root, join(root, 'nowhere')]) {
      expect(await readOnce(path)).toMatchObject({ vanished: true, incomplete: true, problems: [] })
    }
  })
})

describe('a broken file', () => {
  const good = `${deviceText('d1')}---\n${deviceText('d2')}`

  it('keeps the last good version of its own objects, until it is mended', async () => {
    const root = await makeTree({ 'a.yaml': good, 'b.yaml': deviceText('d3') })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'a.yaml', `${deviceText('d1', '192.0.2.77')}---\n"`)
    await writeTo(root, 'b.yaml', deviceText('d3', '192.0.2.3'))
    const broken = await directory.until(
      'the mistake',
      ({ problems, objects }) => problems.length > 0 && objects.size === 3,
    )
    expect(diagnosticsOf(broken)).toEqual([
      'a.yaml:6:2: a character is missing here: a colon, a comma, a closing quote or a bracket',
    ])
    expect(addressOf(broken, 'd1')).toBe('192.0.2.1')
    expect(broken.objects.get('Device/default/d2')?.staleBecause).toBe(
      'a.yaml: line 6:2: a character is missing here: a colon, a comma, a closing quote or a bracket',
    )
    expect(addressOf(broken, 'd3')).toBe('192.0.2.3')
    expect(broken.objects.get('Device/default/d3')?.staleBecause).toBeUndefined()
    expect(broken.incomplete).toBe(true)
    await writeTo(root, 'a.yaml', deviceText('d2', '192.0.2.2'))
    const last = await directory.until(
      'the end of what is no longer declared',
      ({ objects }) => !objects.has('Device/default/d1'),
    )
    expect(last.objects.get('Device/default/d2')?.staleBecause).toBeUndefined()
    expect(addressOf(last, 'd2')).toBe('192.0.2.2')
    expect(last.incomplete).toBe(false)
  })

  it('that cannot be read is tried again, although nothing has changed', async () => {
    const root = await makeTree({ 'a.yaml': deviceText('d1'), 'b.yaml': deviceText('d2') })
    let failures = 1
    // As the disk itself may fail, or the process have no file descriptor left.
    const fileRead = (path: string): void => {
      if (path !== 'b.yaml' || failures === 0) return
      failures -= 1
      throw Object.assign(new Error('no more descriptors'), { code: 'EMFILE' })
    }
    const source = openDirectory(root, { clock: createFastClock(20), observer: { fileRead } })
    expect(diagnosticsOf(await source.readOnce())).toEqual(['b.yaml:1:1: cannot be read: EMFILE'])
    const second = await source.readOnce()
    expect([diagnosticsOf(second), ids(second)]).toEqual([[], ['Device/default/d1', 'Device/default/d2']])
    expect(await source.readOnce()).toBe(second)
  })

  it('at the first look leaves open what it declares', async () => {
    const root = await makeTree({ 'a.yaml': '"', 'b.yaml': deviceText('d3') })
    const revision = await readOnce(root)
    expect(ids(revision)).toEqual(['Device/default/d3'])
    expect(revision.incomplete).toBe(true)
    expect([...revision.broken]).toEqual([
      [
        'a.yaml',
        'a.yaml: line 1:2: a character is missing here: a colon, a comma, a closing quote or a bracket',
      ],
    ])
  })

  it('under a new name keeps nothing, but nothing counts as removed', async () => {
    const root = await makeTree({ 'a.yaml': good, 'b.yaml': deviceText('d3') })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'a.yaml', '"')
    await rename(join(root, 'a.yaml'), join(root, 'c.yaml'))
    const renamed = await directory.until('the renamed file', ({ broken }) => broken.has('c.yaml'))
    expect(renamed.incomplete).toBe(true)
  })

  it('spoils one object alone where it says which', async () => {
    const root = await makeTree({ 'a.yaml': good })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'a.yaml', `${deviceText('d1', '192.0.2.77')}---\n${deviceText('d2', '5')}`)
    const spoiled = await directory.until('the mistake', ({ problems }) => problems.length > 0)
    expect(diagnosticsOf(spoiled)).toEqual([
      'a.yaml:9:45: spec.addresses[0]: must be a string, quote it: "5"',
    ])
    expect([addressOf(spoiled, 'd1'), addressOf(spoiled, 'd2')]).toEqual(['192.0.2.77', '192.0.2.1'])
    expect(spoiled.objects.get('Device/default/d2')?.staleBecause).toBe(
      'a.yaml: line 9:45: spec.addresses[0]: must be a string, quote it: "5"',
    )
    // Its last good version is known, so that removals elsewhere may go on.
    expect(spoiled.incomplete).toBe(false)
  })

  it('spoils an object whose last good version nobody remembers: then nothing may be removed', async () => {
    const revision = await readOnce(await makeTree({ 'a.yaml': deviceText('d2', '5') }))
    expect(revision).toMatchObject({ incomplete: true })
    expect([...revision.spoiled.keys()]).toEqual(['Device/default/d2'])
  })

  it('that moves an object and breaks it keeps the version that was in force elsewhere', async () => {
    const root = await makeTree({ 'a.yaml': good })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'a.yaml', deviceText('d1'))
    await writeTo(root, 'b.yaml', deviceText('d2', '5'))
    const moved = await directory.until('the mistake', ({ problems }) => problems.length > 0)
    expect(addressOf(moved, 'd2')).toBe('192.0.2.1')
    expect(moved.incomplete).toBe(false)
  })

  it('keeps Secrets as well', async () => {
    const secret =
      'apiVersion: v1\nkind: Secret\nmetadata: {name: routers}\nstringData: {username: root, password: good}\n'
    const root = await makeTree({ 'a.yaml': secret })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'a.yaml', secret.replace('good', '17'))
    const spoiled = await directory.until('the mistake', ({ problems }) => problems.length > 0)
    expect(spoiled.secrets.get('Secret/default/routers')?.secret.entries['password']).toBe('good')
  })

  it('or folder that may not be read keeps its objects, and is read when it may be', async ({ skip }) => {
    const asRoot = process.geteuid?.() === 0
    const root = await makeTree({
      'a.yaml': deviceText('d1'),
      'sub/b.yaml': deviceText('d2'),
      'c.yaml': deviceText('d3'),
    })
    // Root may read everything, so it plays somebody else for the while.
    if (asRoot) {
      await Promise.all(['.', 'sub'].map((path) => chmod(join(root, path), 0o755)))
      process.seteuid?.(65_534)
    } else if (process.geteuid === undefined) skip('needs the permissions of Unix')
    try {
      const source = openDirectory(root, { clock: createFastClock(20) })
      expect((await source.readOnce()).objects.size).toBe(3)
      const asOwner = async (fn: () => Promise<void>): Promise<void> => {
        if (asRoot) process.seteuid?.(0)
        await fn()
        if (asRoot) process.seteuid?.(65_534)
      }
      await asOwner(async () => {
        await chmod(join(root, 'a.yaml'), 0)
        await chmod(join(root, 'sub'), 0)
      })
      const closed = await source.readOnce()
      expect(diagnosticsOf(closed)).toEqual([
        'a.yaml:1:1: cannot be read: EACCES',
        'sub:1:1: cannot be read: EACCES',
      ])
      expect(ids(closed)).toEqual(['Device/default/d1', 'Device/default/d2', 'Device/default/d3'])
      expect(closed.objects.get('Device/default/d2')?.staleBecause).toBe('sub: cannot be read: EACCES')
      expect(closed.incomplete).toBe(true)
      await asOwner(async () => {
        await chmod(join(root, 'a.yaml'), 0o644)
        await chmod(join(root, 'sub'), 0o755)
      })
      expect(await source.readOnce()).toMatchObject({ problems: [], incomplete: false })
    } finally {
      if (asRoot) process.seteuid?.(0)
    }
  })
})

describe('an object that is declared twice', () => {
  it('counts in no file at the first look: a restart must not choose', async () => {
    const root = await makeTree({
      'b.yaml': deviceText('d1', '192.0.2.2'),
      'a.yaml': `\n${deviceText('d1')}`,
    })
    const revision = await readOnce(root)
    expect(addressOf(revision, 'd1')).toBeUndefined()
    expect([...revision.spoiled.keys()]).toEqual(['Device/default/d1'])
    expect(diagnosticsOf(revision)).toEqual([
      'b.yaml:1:1: Device/default/d1 is declared in a.yaml:2 already, and neither counts until one of them is removed',
    ])
    expect(revision.problems[0]?.reason).toBe('Duplicate')
  })

  it('stays that of the file that was there before', async () => {
    const root = await makeTree({ 'b.yaml': deviceText('d1') })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'a.yaml', deviceText('d1', '192.0.2.2'))
    const doubled = await directory.until('the second declaration', ({ problems }) => problems.length > 0)
    expect(addressOf(doubled, 'd1')).toBe('192.0.2.1')
    expect(diagnosticsOf(doubled)).toEqual([
      'a.yaml:1:1: Device/default/d1 is declared in b.yaml:1 already, and that declaration stays in force',
    ])
    await unlink(join(root, 'b.yaml'))
    await directory.until(
      'the other one, now alone',
      (revision) => addressOf(revision, 'd1') === '192.0.2.2' && revision.problems.length === 0,
    )
  })

  it('is not taken over when the file in force breaks', async () => {
    const root = await makeTree({ 'b.yaml': deviceText('d1') })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'b.yaml', deviceText('d1', '5'))
    await writeTo(root, 'a.yaml', deviceText('d1', '192.0.2.2'))
    const doubled = await directory.until('both mistakes', ({ problems }) => problems.length === 2)
    expect(addressOf(doubled, 'd1')).toBe('192.0.2.1')
  })

  it('in one file stays what it was, whichever of the two is new', async () => {
    const root = await makeTree({ 'a.yaml': deviceText('d1') })
    const directory = followDirectory(root)
    await directory.until('the first revision', () => true)
    await writeTo(root, 'a.yaml', `${deviceText('d1', '192.0.2.2')}---\n${deviceText('d1')}`)
    const doubled = await directory.until('the second declaration', ({ problems }) => problems.length > 0)
    expect(addressOf(doubled, 'd1')).toBe('192.0.2.1')
    expect(diagnosticsOf(doubled)).toEqual([
      'a.yaml:6:1: Device/default/d1 is declared in a.yaml:1 already, and neither counts until one of them is removed',
    ])
    expect(doubled.objects.get('Device/default/d1')?.staleBecause).toMatch(/^a\.yaml:6:1: /)
  })
})

it('an operation that is given another device stays as it was', async () => {
  const operation = (device: string): string =>
    manifestText('UpgradeOperation', 'op', `{deviceRef: {name: ${device}}, buildRef: {name: b}}`)
  const root = await makeTree({ 'a.yaml': operation('d1') })
  const directory = followDirectory(root)
  await directory.until('the first revision', () => true)
  await writeTo(root, 'a.yaml', operation('d2'))
  const refused = await directory.until('the refusal', ({ problems }) => problems.length > 0)
  expect(diagnosticsOf(refused)).toEqual([
    'a.yaml:1:1: spec.deviceRef: cannot change: an operation keeps its device',
  ])
  expect(refused.objects.get('UpgradeOperation/default/op')).toMatchObject({
    manifest: { spec: { deviceRef: { name: 'd1' } } },
    staleBecause: 'a.yaml: line 1: spec.deviceRef: cannot change: an operation keeps its device',
  })
})

it('one look at a directory that never rests fails with the reason', async () => {
  const root = await makeTree({ 'a.yaml': '', '.git/HEAD': '', '.git/index.lock': '' })
  const reading = openDirectory(root, { clock: createFastClock(1000) }).readOnce()
  await expect(reading).rejects.toMatchObject({
    code: 'Timeout',
    message: `${root} did not hold still for 30 s: git is writing: .git/index.lock is there`,
  })
})

it('one look is left when it is no longer wanted', async () => {
  const root = await makeTree({ 'a.yaml': '' })
  const stop = new AbortController()
  const reading = openDirectory(root, { clock: systemClock }).readOnce(stop.signal)
  stop.abort(new Error('enough'))
  await expect(reading).rejects.toThrow('enough')
})
