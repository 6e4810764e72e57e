import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createImageStore } from '../../src/adapters/images/image-store.ts'
import type { ImageFile } from '../../src/ports/image-store.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { readMetadata } from '../../src/upgraders/openwrt/image-metadata.ts'
import { drain, makeFolder, makeStore, never, sha256Of, writeOld } from '../support/image-stores.ts'
import { until } from '../support/until.ts'

const image = makeFirmware({ version: '24.10.8', revision: 'r1-a', boards: ['a'], sizeBytes: 200_000 })
const sha256 = sha256Of(image)
const rejection = (code: string, says = '') => ({ code, message: expect.stringContaining(says) })

describe('an image from a file', () => {
  it('is kept under its digest, readable by the owner alone', async () => {
    const { store, manifestFolder, cacheFolder, unfinished } = await makeStore()
    await writeOld(join(manifestFolder, 'images/a.bin'), image)
    const stored = await store.fetch({ path: 'images/a.bin', manifestFolder }, never)
    expect(stored).toMatchObject({
      sha256,
      sizeBytes: image.length,
      metadata: { boards: ['a'], revision: 'r1-a' },
    })
    const kept = join(cacheFolder, 'sha256', sha256)
    expect(sha256Of(await readFile(kept))).toBe(sha256)
    expect((await stat(kept)).mode & 0o777).toBe(0o400)
    expect((await stat(cacheFolder)).mode & 0o777).toBe(0o700)
    expect(await unfinished()).toEqual([])
  })

  it('is accepted without metadata', async () => {
    const { store, manifestFolder } = await makeStore()
    await writeOld(join(manifestFolder, 'x86.img.gz'), 'no trailer')
    expect(await store.fetch({ path: 'x86.img.gz', manifestFolder }, never)).toEqual({
      sha256: sha256Of(Buffer.from('no trailer')),
      sizeBytes: 10,
    })
  })

  it('comes from beside the manifest first, then from the images folder', async () => {
    const { store, manifestFolder, imagesFolder } = await makeStore()
    const fetchIt = async () => (await store.fetch({ path: 'a.bin', manifestFolder }, never)).sizeBytes
    await writeOld(join(imagesFolder, 'a.bin'), '1')
    expect(await fetchIt()).toBe(1)
    await writeOld(join(manifestFolder, 'a.bin'), '22')
    expect(await fetchIt()).toBe(2)
    expect((await store.fetch({ path: 'a.bin' }, never)).sizeBytes).toBe(1)
  })

  const damaged = Buffer.from(image)
  damaged[1000]! ^= 1
  it.each([
    { name: 'of another digest', bytes: image, sha256: 'b'.repeat(64), code: 'DigestMismatch', says: sha256 },
    {
      name: 'of an upper-case digest',
      bytes: image,
      sha256: sha256.toUpperCase(),
      code: 'DigestMismatch',
      says: 'lower',
    },
    {
      name: 'of half a digest',
      bytes: image,
      sha256: sha256.slice(0, 12),
      code: 'DigestMismatch',
      says: 'hex',
    },
    { name: 'that is empty', bytes: '', code: 'ImageInvalid', says: 'empty' },
    { name: 'with a flipped bit', bytes: damaged, code: 'ImageInvalid', says: 'checksum' },
    { name: 'that is too large', bytes: Buffer.alloc(300_000), code: 'TooLarge', says: '300000' },
    { name: 'that is missing', bytes: undefined, code: 'NotFound', says: '"a.bin"' },
  ])(
    'is refused when it is a file $name, and nothing is kept',
    async ({ bytes, code, says, sha256: declared }) => {
      const { store, manifestFolder, kept, unfinished } = await makeStore({ maxBytes: 250_000 })
      if (bytes !== undefined) await writeOld(join(manifestFolder, 'a.bin'), bytes)
      const request = { path: 'a.bin', manifestFolder, ...(declared && { sha256: declared }) }
      await expect(store.fetch(request, never)).rejects.toMatchObject(rejection(code, says))
      expect([...(await kept()), ...(await unfinished())]).toEqual([])
    },
  )

  it('names both digests when they differ, at the second look too', async () => {
    const { store, manifestFolder } = await makeStore()
    await writeOld(join(manifestFolder, 'a.bin'), image)
    const expected = 'b'.repeat(64)
    for (let look = 0; look < 2; look += 1) {
      const fetching = store.fetch({ path: 'a.bin', manifestFolder, sha256: expected }, never)
      await expect(fetching).rejects.toMatchObject(rejection('DigestMismatch', sha256))
      await expect(fetching).rejects.toMatchObject(rejection('DigestMismatch', expected))
    }
  })

  it('is read again only when it has changed', async () => {
    let looks = 0
    const counting = (file: ImageFile) => {
      looks += 1
      return readMetadata(file)
    }
    const { store, manifestFolder } = await makeStore({ readMetadata: counting })
    const path = await writeOld(join(manifestFolder, 'a.bin'), image)
    const times = await stat(path)
    const fetchIt = async () => (await store.fetch({ path: 'a.bin', manifestFolder }, never)).sha256
    for (let round = 0; round < 5; round += 1) expect(await fetchIt()).toBe(sha256)
    // Once when it was copied, once when the copy was first read back.
    expect(looks).toBe(2)

    const other = makeFirmware({ version: '24.10.8', revision: 'r2-a', boards: ['a'], sizeBytes: 200_000 })
    expect(other.length).toBe(image.length)
    await writeFile(path, other)
    await utimes(path, times.atime, times.mtime)
    expect(await fetchIt()).toBe(sha256Of(other))
  })

  it('is read every time while it is so new that a change could go unseen', async () => {
    const { store, manifestFolder } = await makeStore()
    const path = join(manifestFolder, 'a.bin')
    for (const content of ['1', '2', '3', '4', '5']) {
      await writeFile(path, content)
      expect((await store.fetch({ path: 'a.bin', manifestFolder }, never)).sha256).toBe(
        sha256Of(Buffer.from(content)),
      )
    }
  })

  it('is shared by all who ask at once', async () => {
    let looks = 0
    const { store, manifestFolder } = await makeStore({
      readMetadata: (file) => {
        looks += 1
        return readMetadata(file)
      },
    })
    await writeOld(join(manifestFolder, 'a.bin'), image)
    const request = { path: 'a.bin', manifestFolder }
    const all = await Promise.all(Array.from({ length: 20 }, () => store.fetch(request, never)))
    expect(new Set(all.map((stored) => stored.sha256))).toEqual(new Set([sha256]))
    expect(looks).toBe(1)
  })

  it('is not shared with who means another one of that name, in a folder of its own', async () => {
    const { store, root } = await makeStore()
    const folders = ['23.05', '24.10'].map((name) => join(root, name))
    for (const folder of folders) {
      await mkdir(folder)
      await writeOld(join(folder, 'a.bin'), folder)
    }
    const found = await Promise.all(
      folders.map(
        async (manifestFolder) => (await store.fetch({ path: 'a.bin', manifestFolder }, never)).sha256,
      ),
    )
    expect(found).toEqual(folders.map((folder) => sha256Of(Buffer.from(folder))))
  })

  it('is not fetched for who has left', async () => {
    const { store, manifestFolder } = await makeStore()
    const reason = new Error('left')
    await expect(store.fetch({ path: 'a.bin', manifestFolder }, AbortSignal.abort(reason))).rejects.toBe(
      reason,
    )
  })
})

describe('the path of an image', () => {
  it.each([
    '../secret.bin',
    'x/../../secret.bin',
    'x/..',
    '/etc/passwd',
    'a\0.bin',
    'link-out',
    'folder-out/secret.bin',
    'device',
    'loop',
    Array.from({ length: 17 }, () => 'x').join('/'),
  ])('never leads outside: %j', async (path) => {
    const { store, manifestFolder, root, kept } = await makeStore()
    await writeOld(join(root, 'tree', 'secret.bin'), 'secret')
    await symlink('../secret.bin', join(manifestFolder, 'link-out'))
    await symlink('..', join(manifestFolder, 'folder-out'))
    await symlink('/dev/zero', join(manifestFolder, 'device'))
    await symlink('loop', join(manifestFolder, 'loop'))
    const fetching = store.fetch({ path, manifestFolder }, never)
    await expect(fetching).rejects.toMatchObject({
      code: 'PathOutsideRoot',
      message: expect.not.stringContaining('\0'),
    })
    expect(await kept()).toEqual([])
  })

  it.each(['%2e%2e/secret.bin', '..\\secret.bin', 'dangling', 'a.bin/b', 'x'.repeat(300)])(
    'is taken as it is written: %j',
    async (path) => {
      const { store, manifestFolder, root } = await makeStore()
      await writeOld(join(root, 'tree', 'secret.bin'), 'secret')
      await writeOld(join(manifestFolder, 'a.bin'), image)
      await symlink('nowhere', join(manifestFolder, 'dangling'))
      await expect(store.fetch({ path, manifestFolder }, never)).rejects.toMatchObject({ code: 'NotFound' })
    },
  )

  it('does not leave the images folder either', async () => {
    const { store, imagesFolder, root } = await makeStore()
    await writeOld(join(root, 'secret.bin'), 'secret')
    await symlink('../secret.bin', join(imagesFolder, 'link-out'))
    await expect(store.fetch({ path: 'link-out' }, never)).rejects.toMatchObject({ code: 'PathOutsideRoot' })
  })

  it('may follow links that stay inside', async () => {
    const { store, manifestFolder } = await makeStore()
    await writeOld(join(manifestFolder, 'images/a.bin'), image)
    await symlink('images', join(manifestFolder, 'link'))
    expect(await store.fetch({ path: './link//a.bin', manifestFolder }, never)).toMatchObject({ sha256 })
  })

  it('may follow links through the whole tree of manifests, and no further', async () => {
    const folders = await makeStore()
    const { manifestFolder, root, cacheFolder } = folders
    const treeRoot = join(root, 'tree')
    const store = createImageStore({ cacheFolder, treeRoot, readMetadata, clock: systemClock })
    await writeOld(join(treeRoot, 'shared/a.bin'), image)
    await writeOld(join(root, 'secret.bin'), 'secret')
    await symlink('../shared/a.bin', join(manifestFolder, 'in'))
    await symlink('../../secret.bin', join(manifestFolder, 'out'))
    expect(await store.fetch({ path: 'in', manifestFolder }, never)).toMatchObject({ sha256 })
    await expect(store.fetch({ path: 'out', manifestFolder }, never)).rejects.toMatchObject({
      code: 'PathOutsideRoot',
    })
    const elsewhere = store.fetch({ path: 'secret.bin', manifestFolder: root }, never)
    await expect(elsewhere).rejects.toMatchObject({ code: 'PathOutsideRoot' })
  })

  it('is refused without waiting when it names a pipe or a folder', async () => {
    const { store, manifestFolder } = await makeStore()
    await promisify(execFile)('mkfifo', [join(manifestFolder, 'pipe')])
    await mkdir(join(manifestFolder, 'folder'))
    for (const path of ['pipe', 'folder', '.']) {
      const fetching = store.fetch({ path, manifestFolder }, never)
      await expect(fetching).rejects.toMatchObject(rejection('ImageInvalid', 'regular'))
    }
  })

  it('is shown without its control characters', async () => {
    const { store, manifestFolder } = await makeStore()
    const fetching = store.fetch({ path: 'a\n\u001b[2J\u202e.bin', manifestFolder }, never)
    await expect(fetching).rejects.toMatchObject(rejection('NotFound', '"a\\x0a\\x1b[2J\\u202e.bin"'))
  })
})

describe('a cached image', () => {
  const filled = async () => {
    const folders = await makeStore()
    const { store, manifestFolder, cacheFolder } = folders
    await writeOld(join(manifestFolder, 'a.bin'), image)
    const fetchIt = () => store.fetch({ path: 'a.bin', manifestFolder }, never)
    await fetchIt()
    return { ...folders, fetchIt, cached: join(cacheFolder, 'sha256', sha256) }
  }
  const damage = async (path: string, at: number) => {
    const bytes = await readFile(path)
    bytes[at]! ^= 1
    await chmod(path, 0o600)
    await writeFile(path, bytes)
  }

  it('is streamed in small chunks', async () => {
    const { store } = await filled()
    const content = store.open(sha256, never)
    for await (const chunk of content) expect(chunk.length).toBeLessThanOrEqual(64 * 1024)
    // Each iteration starts anew: an upload that is repeated gets the whole file again.
    expect(sha256Of(await drain(content))).toBe(sha256)
  })

  it('is streamed to many without many copies in memory', async () => {
    const { store, manifestFolder } = await makeStore()
    const large = makeFirmware({ version: '1', revision: 'r1', boards: ['a'], sizeBytes: 16 * 1024 * 1024 })
    await writeOld(join(manifestFolder, 'large.bin'), large)
    const { sha256: digest } = await store.fetch({ path: 'large.bin', manifestFolder }, never)
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 50 }, () => store.open(digest, never)[Symbol.asyncIterator]())
    for (let round = 0; round < 3; round += 1) await Promise.all(readers.map((reader) => reader.next()))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 10 * 64 * 1024)
    await Promise.all(readers.map(async (reader) => reader.return?.()))
  })

  it.each([0, 100_000, image.length - 1])(
    'that is damaged at byte %i is never handed out whole',
    async (at) => {
      const { store, cached, kept, fetchIt } = await filled()
      await damage(cached, at)
      let sentBytes = 0
      const sending = async () => {
        for await (const chunk of store.open(sha256, never)) sentBytes += chunk.length
      }
      await expect(sending()).rejects.toMatchObject(rejection('ImageInvalid', 'damaged'))
      expect(sentBytes).toBeLessThan(image.length)
      expect(await kept()).toEqual([])
      await fetchIt()
      expect(sha256Of(await drain(store.open(sha256, never)))).toBe(sha256)
    },
  )

  it('too large to be held in memory is read from the disk, and never handed out whole when damaged', async () => {
    const { store, manifestFolder, cacheFolder } = await makeStore()
    const large = makeFirmware({ version: '1', revision: 'r1', boards: ['a'], sizeBytes: 33 * 1024 * 1024 })
    await writeOld(join(manifestFolder, 'large.bin'), large)
    const { sha256: digest } = await store.fetch({ path: 'large.bin', manifestFolder }, never)
    expect(sha256Of(await drain(store.open(digest, never)))).toBe(digest)
    await damage(join(cacheFolder, 'sha256', digest), 1000)
    let sentBytes = 0
    const sending = async () => {
      for await (const chunk of store.open(digest, never)) sentBytes += chunk.length
    }
    await expect(sending()).rejects.toMatchObject(rejection('ImageInvalid', 'damaged'))
    expect(sentBytes).toBeLessThan(large.length)
  })

  it('that was cut short is never handed out', async () => {
    const { store, cached } = await filled()
    await chmod(cached, 0o600)
    await writeFile(cached, image.subarray(0, 65_536))
    await expect(drain(store.open(sha256, never))).rejects.toMatchObject({ code: 'ImageInvalid' })
  })

  it('that is damaged is replaced by the next fetch', async () => {
    const { cached, fetchIt } = await filled()
    await damage(cached, 500)
    await fetchIt()
    expect(sha256Of(await readFile(cached))).toBe(sha256)
  })

  it('that has vanished is replaced by the next fetch', async () => {
    const { cached, fetchIt } = await filled()
    await rm(cached)
    await fetchIt()
    expect(sha256Of(await readFile(cached))).toBe(sha256)
  })

  it('is believed by a new process only after it was read', async () => {
    const { cached, manifestFolder, cacheFolder } = await filled()
    await damage(cached, 500)
    const store = createImageStore({ cacheFolder, readMetadata, clock: systemClock })
    await store.fetch({ path: 'a.bin', manifestFolder }, never)
    expect(sha256Of(await drain(store.open(sha256, never)))).toBe(sha256)
  })

  it.each(['a'.repeat(64), '../partial/x', '', sha256.toUpperCase()])(
    'is not found by %j',
    async (digest) => {
      const { store } = await filled()
      await expect(drain(store.open(digest, never))).rejects.toMatchObject({ code: 'NotFound' })
    },
  )

  it('stops being streamed on abort, with the reason of the caller', async () => {
    const { store } = await filled()
    const controller = new AbortController()
    const reason = new Error('enough')
    const sending = async () => {
      for await (const _chunk of store.open(sha256, controller.signal)) controller.abort(reason)
    }
    await expect(sending()).rejects.toBe(reason)
  })
})

describe('the cache', () => {
  it('sweeps at the start what a crash has left', async () => {
    const { store, manifestFolder, cacheFolder, unfinished, kept } = await makeStore()
    await writeOld(join(cacheFolder, 'partial', 'left-behind'), 'half an image')
    await writeOld(join(manifestFolder, 'a.bin'), image)
    await store.fetch({ path: 'a.bin', manifestFolder }, never)
    expect(await unfinished()).toEqual([])
    expect(await kept()).toEqual([sha256])
  })

  it('holds only whole images, wherever its process was killed', async () => {
    const { store, manifestFolder, cacheFolder, kept, unfinished } = await makeStore()
    const script = fileURLToPath(new URL('../support/fill-cache.ts', import.meta.url))
    let found = 0
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(process.execPath, [script, manifestFolder, cacheFolder, String(round)])
      const ended = once(child, 'exit')
      // Some are killed with the first bytes of an image written, others somewhere in a later one.
      await until(
        'it is at work',
        async () => (await unfinished()).length > 0 || (await kept()).length > found,
      )
      if (round % 2 === 1) await until('it goes on', async () => (await kept()).length >= found + round)
      child.kill('SIGKILL')
      expect((await ended)[1]).toBe('SIGKILL')
      for (const name of await kept())
        expect(sha256Of(await readFile(join(cacheFolder, 'sha256', name)))).toBe(name)
      found = (await kept()).length
    }
    expect(found).toBeGreaterThan(5)
    await writeOld(join(manifestFolder, 'a.bin'), image)
    await store.fetch({ path: 'a.bin', manifestFolder }, never)
    expect(await unfinished()).toEqual([])
  })

  it('works once its folder can be used', async () => {
    const root = await makeFolder()
    const cacheFolder = join(root, 'cache')
    await writeFile(cacheFolder, 'in the way')
    await writeOld(join(root, 'a.bin'), image)
    const store = createImageStore({ cacheFolder, readMetadata, clock: systemClock })
    const request = { path: 'a.bin', manifestFolder: root }
    await expect(store.fetch(request, never)).rejects.toMatchObject(rejection('FetchFailed', 'cache'))
    await rename(cacheFolder, join(root, 'elsewhere'))
    expect(await store.fetch(request, never)).toMatchObject({ sha256 })
  })

  it('is pruned of what nobody needs and nobody has just got', async () => {
    const clock = createManualClock()
    const { store, manifestFolder, kept } = await makeStore({ clock })
    const add = async (content: string) => {
      await writeOld(join(manifestFolder, content), content)
      return (await store.fetch({ path: content, manifestFolder }, never)).sha256
    }
    const first = await add('first')
    const second = await add('second')
    await clock.advance(11 * 60_000)
    const third = await add('third')
    expect(await store.prune(new Set([second]))).toBe('first'.length)
    expect(new Set(await kept())).toEqual(new Set([second, third]))
    await clock.advance(11 * 60_000)
    expect(await store.prune(new Set())).toBe('second'.length + 'third'.length)
    expect(await kept()).toEqual([])
    // What was pruned comes back when it is asked for.
    expect(await add('first')).toBe(first)
  })
})
