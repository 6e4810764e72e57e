import { execFileSync } from 'node:child_process'
import { chmod, mkdir, rename, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { formatDiagnostic, inFile } from '../../src/adapters/files/diagnostic.ts'
import { readBytes } from '../../src/adapters/files/read-bytes.ts'
import { scan } from '../../src/adapters/files/scan.ts'
import { type Snapshot, sameSnapshot } from '../../src/adapters/files/snapshot.ts'
import { makeTree, writeTo } from '../support/tree.ts'

const paths = ({ files }: Snapshot): string[] => [...files.keys()]
const refusals = ({ refused }: Snapshot): string[] =>
  refused.map(({ path, problem }) => formatDiagnostic(inFile(path, problem)))

describe('a scan', () => {
  it('finds manifests in every folder, in order, and leaves out what is hidden or no manifest', async () => {
    const root = await makeTree({
      'b.yaml': '',
      'a.yml': '',
      'sub/deep/c.json': '',
      'README.md': '',
      'notes.yaml.bak': '',
      '.hidden.yaml': '',
      '.github/workflows/ci.yaml': '',
      'kustomization.yaml': '',
      'sub/kustomization.yml': '',
      'images/x.bin': '',
    })
    const seen = await scan(root)
    expect(paths(seen)).toEqual(['a.yml', 'b.yaml', 'sub/deep/c.json'])
    expect(refusals(seen)).toEqual([])
  })

  it('says that a directory is not there, without a complaint', async () => {
    const root = await makeTree()
    expect(await scan(join(root, 'gone'))).toMatchObject({ root: undefined, refused: [] })
  })

  it('refuses what is no file, and never waits for it', async () => {
    const root = await makeTree({ 'good.yaml': '', 'folder.yaml/inside.yaml': '' })
    execFileSync('sh', ['-c', 'mkfifo pipe.yaml pipe'], { cwd: root })
    const server = createServer().listen(join(root, 'socket.yaml'))
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const seen = await scan(root)
    expect(paths(seen)).toEqual(['good.yaml'])
    expect(refusals(seen)).toEqual([
      'folder.yaml:1:1: is a folder, not a file',
      'pipe.yaml:1:1: is a named pipe, not a file',
      'socket.yaml:1:1: is a socket, not a file',
    ])
    expect(seen.refused.map(({ problem }) => problem.reason)).toEqual([
      'NotRegularFile',
      'NotRegularFile',
      'NotRegularFile',
    ])
  })

  it('refuses symbolic links that lead out, to themselves or nowhere', async () => {
    const outside = await makeTree({ 'x.yaml': '' })
    const root = await makeTree({ 'good.yaml': '' })
    await symlink(join(outside, 'x.yaml'), join(root, 'out.yaml'))
    await symlink(outside, join(root, 'out'))
    await symlink('self.yaml', join(root, 'self.yaml'))
    await symlink('nothing.yaml', join(root, 'dangling.yaml'))
    await symlink('/dev/zero', join(root, 'zero.yaml'))
    const seen = await scan(root)
    expect(paths(seen)).toEqual(['good.yaml'])
    expect(refusals(seen)).toEqual([
      'dangling.yaml:1:1: is a link to nothing that can be read',
      'out:1:1: leads out of the directory',
      'out.yaml:1:1: leads out of the directory',
      'self.yaml:1:1: is a link to itself',
      'zero.yaml:1:1: leads out of the directory',
    ])
    expect(new Set(seen.refused.map(({ problem }) => problem.reason))).toEqual(new Set(['SymlinkRefused']))
  })

  it('follows links within the directory, and takes nothing twice', async () => {
    const root = await makeTree({ 'releases/one/a.yaml': '', 'shared.yaml': '', '..v1/site/b.yaml': '' })
    await symlink('releases/one', join(root, 'current'))
    await symlink('shared.yaml', join(root, 'again.yaml'))
    await symlink('..v1', join(root, '..data'))
    await symlink('..data/site', join(root, 'site'))
    await symlink('.', join(root, 'loop'))
    const seen = await scan(root)
    expect(paths(seen)).toEqual(['releases/one/a.yaml', 'shared.yaml', 'site/b.yaml'])
    expect(refusals(seen)).toEqual([])
  })

  it('leaves links to files that are no manifests to those who need them', async () => {
    const outside = await makeTree({ 'image.bin': '' })
    const root = await makeTree()
    await symlink(join(outside, 'image.bin'), join(root, 'image.bin'))
    expect(refusals(await scan(root))).toEqual([])
  })

  it('shows names so that they cannot steer a terminal, and refuses those that are not UTF-8', async () => {
    const names = [
      'new\nline.yaml',
      'esc\u001b[31m.yaml',
      'rtl\u202Elmay.yaml',
      'größe-東京.yaml',
      `${'x'.repeat(250)}.yaml`,
    ]
    const root = await makeTree(Object.fromEntries(names.map((name) => [name, ''])))
    await writeFile(
      Buffer.concat([Buffer.from(`${root}/bad`), Buffer.from([0xff, 0x1b]), Buffer.from('.yaml')]),
      '',
    )
    await mkdir(Buffer.concat([Buffer.from(`${root}/folder`), Buffer.from([0xff])]))
    const seen = await scan(root)
    expect(paths(seen).toSorted()).toEqual(names.toSorted())
    expect(refusals(seen)).toEqual([
      'badÿ\\x1b.yaml:1:1: has a name that is not UTF-8',
      'folderÿ:1:1: has a name that is not UTF-8',
    ])
    const shown = names.map((name) => inFile(name, seen.refused[0]!.problem).file)
    expect(shown.slice(0, 4)).toEqual([
      'new\\x0aline.yaml',
      'esc\\x1b[31m.yaml',
      'rtl\\u{202e}lmay.yaml',
      'größe-東京.yaml',
    ])
  })

  it('refuses a file of more than 1 MiB without reading it', async () => {
    const root = await makeTree({ 'big.yaml': '', 'fits.yaml': '' })
    await truncate(join(root, 'big.yaml'), 2 * 1024 * 1024)
    await truncate(join(root, 'fits.yaml'), 1024 * 1024)
    const seen = await scan(root)
    expect(paths(seen)).toEqual(['fits.yaml'])
    expect(refusals(seen)).toEqual(['big.yaml:1:1: is larger than 1 MiB'])
  })

  it('refuses a directory of more than 64 MiB as a whole', async () => {
    const root = await makeTree()
    for (let index = 0; index < 65; index += 1) {
      await writeFile(join(root, `${index}.yaml`), '')
      await truncate(join(root, `${index}.yaml`), 1024 * 1024)
    }
    const seen = await scan(root)
    expect(paths(seen)).toEqual([])
    expect(refusals(seen)).toEqual(['.:1:1: has 68157440 bytes of manifests, more than 64 MiB'])
  })

  it('refuses a directory of more than 20,000 files as a whole', async () => {
    const root = await makeTree()
    execFileSync('sh', ['-c', 'i=0; while [ $i -le 20000 ]; do : >"$i.yaml"; i=$((i+1)); done'], {
      cwd: root,
    })
    const seen = await scan(root)
    expect(paths(seen)).toEqual([])
    expect(refusals(seen)).toEqual(['.:1:1: has 20001 files, more than 20000'])
  })

  it('refuses folders that are nested without end', async () => {
    const root = await makeTree({ [`${'a/'.repeat(16)}x.yaml`]: '', [`b/${'a/'.repeat(16)}x.yaml`]: '' })
    const seen = await scan(root)
    expect(paths(seen)).toEqual([`${'a/'.repeat(16)}x.yaml`])
    expect(refusals(seen)).toEqual([`b/${'a/'.repeat(15)}a:1:1: is more than 16 folders deep`])
  })
})

describe('two scans', () => {
  it('are the same until something changes', async () => {
    const root = await makeTree({ 'a.yaml': 'one', 'b.yaml': '' })
    const first = await scan(root)
    expect(sameSnapshot(first, await scan(root))).toBe(true)
    for (const change of [
      () => writeFile(join(root, 'a.yaml'), 'two'),
      () => rename(join(root, 'b.yaml'), join(root, 'c.yaml')),
      () => chmod(join(root, 'a.yaml'), 0o600),
      () => symlink('nowhere', join(root, 'd.yaml')),
      () => writeTo(root, 'sub/e.yaml', ''),
    ]) {
      const before = await scan(root)
      await change()
      expect(sameSnapshot(before, await scan(root))).toBe(false)
    }
  })

  it('differ when the directory is a link that has been turned, although the files look alike', async () => {
    const root = await makeTree({ 'one/a.yaml': '', 'two/a.yaml': '' })
    await symlink('one', join(root, 'current'))
    const before = await scan(join(root, 'current'))
    await symlink('two', join(root, 'next'))
    await rename(join(root, 'next'), join(root, 'current'))
    const after = await scan(join(root, 'current'))
    expect([before.root, after.root]).toEqual([join(root, 'one'), join(root, 'two')])
    expect(sameSnapshot(before, after)).toBe(false)
  })
})

describe('reading a file that was seen', () => {
  it('gives its bytes, or nothing when it is another one by now', async () => {
    const root = await makeTree({ 'a.yaml': 'one' })
    const seen = (await scan(root)).files.get('a.yaml')!
    expect(Buffer.from((await readBytes(seen))!).toString()).toBe('one')
    await writeFile(join(root, 'a.yaml'), 'two')
    expect(await readBytes(seen)).toBeUndefined()
  })

  it('does not wait for a pipe, nor follow a link, that has taken its place', async () => {
    const root = await makeTree({ 'a.yaml': 'one', 'b.yaml': 'one' })
    const { files } = await scan(root)
    execFileSync('sh', ['-c', 'rm a.yaml b.yaml; mkfifo a.yaml; ln -s /etc/passwd b.yaml'], { cwd: root })
    expect(await readBytes(files.get('a.yaml')!)).toBeUndefined()
    expect(await readBytes(files.get('b.yaml')!)).toBeUndefined()
  })
})

describe('the commit of a checkout', () => {
  const commit = 'a'.repeat(40)
  const labelOf = async (files: Record<string, string>, folder = ''): Promise<string | undefined> =>
    (await scan(join(await makeTree({ 'x.yaml': '', 'fleet/x.yaml': '', ...files }), folder))).label

  it.each([
    ['of a branch', { '.git/HEAD': 'ref: refs/heads/main\n', '.git/refs/heads/main': `${commit}\n` }],
    [
      'of a packed branch',
      {
        '.git/HEAD': 'ref: refs/heads/a/b\n',
        '.git/packed-refs': `# pack-refs\n${'b'.repeat(40)} refs/heads/x/a/b\n${commit} refs/heads/a/b\n^${'c'.repeat(40)}\n`,
      },
    ],
    ['of no branch', { '.git/HEAD': `${commit}\n` }],
    [
      'of a worktree',
      {
        '.git': 'gitdir: repo/worktrees/w\n',
        'repo/worktrees/w/HEAD': 'ref: refs/heads/main\n',
        'repo/worktrees/w/commondir': '../..\n',
        'repo/refs/heads/main': commit,
      },
    ],
  ])('%s is read without git', async (_, files) => {
    expect(await labelOf(files)).toBe(commit)
  })

  it('is found above the directory', async () => {
    expect(await labelOf({ '.git/HEAD': commit }, 'fleet')).toBe(commit)
  })

  it.each([
    ['no commit yet', { '.git/HEAD': 'ref: refs/heads/main\n' }],
    ['a reference that is a path', { '.git/HEAD': 'ref: refs/../../x\n', x: commit }],
    ['nothing that makes sense', { '.git/HEAD': 'hello' }],
  ])('is unknown with %s', async (_, files) => {
    expect(await labelOf(files)).toBeUndefined()
  })

  it('is unsettled while git writes', async () => {
    const root = await makeTree({ '.git/HEAD': commit, '.git/index.lock': '', 'x.yaml': '' })
    expect((await scan(root)).unsettled).toBe('git is writing: .git/index.lock is there')
  })
})
