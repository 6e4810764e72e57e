import { chmod, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { addToTokenFile, openTokenFile } from '../../src/adapters/files/token-file.ts'
import { hashOfToken, readTokenEntries, tokenText, type TokenEntry } from '../../src/core/api-token.ts'
import { createTokenGate } from '../../src/server/token-gate.ts'
import { makeTree } from '../support/tree.ts'

const now = Date.parse('2026-11-25T00:00:00Z')
const secret = new Uint8Array(32).fill(7)
const token = tokenText('laptop', secret)
const entry: TokenEntry = {
  id: 'laptop',
  sha256: hashOfToken(token),
  scopes: ['read'],
  expiresAt: '2026-12-25T00:00:00Z',
}

describe('entries of the token file', () => {
  test.each<[string, unknown, string]>([
    ['no list', { tokens: [] }, 'is no list of tokens'],
    ['a text', 'rfl_laptop_secret', 'is no list of tokens'],
    ['a list of texts', ['rfl_laptop_secret'], 'token 1 is no map'],
    ['a strange field', [{ ...entry, token: 'secret' }], 'token 1 has a field that is none of id, sha256, '],
    ['no id', [{ ...entry, id: undefined }], 'token 1: id must be'],
    ['an id with _', [{ ...entry, id: 'a_b' }], 'token 1: id must be'],
    ['a hash in upper case', [{ ...entry, sha256: 'A'.repeat(64) }], 'token 1: sha256 must be'],
    ['a short hash', [{ ...entry, sha256: 'a' }], 'token 1: sha256 must be'],
    ['no scopes', [{ ...entry, scopes: [] }], 'token 1: scopes must be a list of read, '],
    ['an unknown scope', [{ ...entry, scopes: ['write'] }], 'token 1: scopes must be'],
    ['no namespaces', [{ ...entry, namespaces: [] }], 'token 1: namespaces must be'],
    ['a namespace that is none', [{ ...entry, namespaces: ['a/b'] }], 'token 1: namespaces must be'],
    ['no end', [{ ...entry, expiresAt: undefined }], 'token 1: expiresAt must be a time'],
    ['an end without a time', [{ ...entry, expiresAt: '2026-12-25' }], 'token 1: expiresAt must be a time'],
    [
      'an end that never was',
      [{ ...entry, expiresAt: '2026-13-25T00:00:00Z' }],
      'token 1: expiresAt must be',
    ],
    ['an end after 91 days', [{ ...entry, expiresAt: '2027-02-24T00:00:00Z' }], 'must be within 90 days'],
    ['the same id twice', [entry, { ...entry, id: 'b' }, entry], 'has two tokens with the id laptop'],
    [
      'metrics of one namespace',
      [{ ...entry, scopes: ['metrics'], namespaces: ['default'] }],
      'token 1: metrics are of all namespaces',
    ],
  ])('%s', (_, content, message) => {
    expect(() => readTokenEntries(content, now)).toThrow(message)
    try {
      readTokenEntries(content, now)
    } catch (error) {
      expect((error as Error).message).not.toContain('secret')
    }
  })

  test('an end of 90 days, and one that has passed, are entries', () => {
    const entries = [entry, { ...entry, id: 'old', expiresAt: '2020-01-01T00:00:00Z' }]
    expect(readTokenEntries(entries, now)).toEqual(entries)
    expect(readTokenEntries([{ ...entry, expiresAt: '2027-02-23T00:00:00Z' }], now)).toHaveLength(1)
  })
})

describe('a token', () => {
  const url = new URL('http://localhost/apis')
  const gateOf = (...entries: TokenEntry[]) => {
    const clock = createManualClock(now)
    const refusals: string[] = []
    const source = { find: (id: string) => entries.find((item) => item.id === id) }
    const gate = createTokenGate(source, { clock, onRefused: (address) => refusals.push(address) })
    return {
      clock,
      refusals,
      check: (authorization?: string, address = '192.0.2.1') => gate.check({ authorization, address, url }),
    }
  }

  test('lets in with what its entry says', () => {
    const { check } = gateOf({ ...entry, scopes: ['read', 'images'], namespaces: ['a', 'b'] })
    expect(check(`Bearer ${token}`)).toEqual({
      kind: 'Known',
      access: {
        tokenId: 'laptop',
        read: true,
        sensitive: false,
        metrics: false,
        images: true,
        namespaces: new Set(['a', 'b']),
      },
    })
  })

  test.each([
    ['in lower case', `bearer ${token}`, 'Known'],
    ['after two blanks', `Bearer  ${token}`, 'Known'],
    ['without the word before it', token, 'Bad'],
    ['with another word before it', `Basic ${token}`, 'Bad'],
    ['with a letter more', `Bearer ${token}x`, 'Bad'],
    ['with something behind it', `Bearer ${token} x`, 'Bad'],
    ['with another secret', `Bearer ${tokenText('laptop', new Uint8Array(32))}`, 'Bad'],
    ['with another id', `Bearer ${tokenText('phone', secret)}`, 'Bad'],
    ['as its hash', `Bearer ${hashOfToken(token)}`, 'Bad'],
    ['that is empty', 'Bearer ', 'Bad'],
    ['that is very long', `Bearer rfl_${'a'.repeat(10_000)}`, 'Bad'],
  ])('%s', (_, authorization, kind) => {
    expect(gateOf(entry).check(authorization).kind).toBe(kind)
  })

  test('is absent without the header', () => {
    expect(gateOf(entry).check()).toEqual({ kind: 'Absent' })
  })

  test('ends at its time', async () => {
    const { clock, check } = gateOf({ ...entry, expiresAt: '2026-11-25T01:00:00Z' })
    await clock.advance(3_599_999)
    expect(check(`Bearer ${token}`).kind).toBe('Known')
    await clock.advance(1)
    expect(check(`Bearer ${token}`).kind).toBe('Bad')
  })

  test('that is bad is told to wait after ten a minute, address by address, and told of once a minute', async () => {
    const { clock, check, refusals } = gateOf(entry)
    for (let n = 0; n < 10; n += 1) expect(check('Bearer x').kind).toBe('Bad')
    await clock.advance(20_000)
    expect(check('Bearer x')).toEqual({ kind: 'TooMany', retryAfterSeconds: 40 })
    expect(check('Bearer x', '192.0.2.2').kind).toBe('Bad')
    // Whoever shares the address with a guesser is not shut out.
    expect(check(`Bearer ${token}`).kind).toBe('Known')
    expect(refusals).toEqual(['192.0.2.1'])
    await clock.advance(40_000)
    expect(check('Bearer x').kind).toBe('Bad')
    expect(refusals).toEqual(['192.0.2.1', '192.0.2.1'])
  })

  test.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::', 'TooMany'],
    ['2001:db8::1', '2001:db8::2', 'TooMany'],
    ['2001:db8::1', '2001:db8:0:0:5::2', 'TooMany'],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', 'Bad'],
    ['::ffff:192.0.2.1', '192.0.2.1', 'TooMany'],
    ['::1', '::2', 'TooMany'],
  ])('guessed from %s is counted with %s: %s', (first, second, kind) => {
    const { check } = gateOf(entry)
    for (let n = 0; n < 10; n += 1) check('Bearer x', first)
    expect(check('Bearer x', second).kind).toBe(kind)
  })

  test('guessed from everywhere costs bounded memory', () => {
    const { check } = gateOf(entry)
    for (let n = 0; n < 20_000; n += 1) check('Bearer x', `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`)
    // The first were forgotten, the last were not.
    for (let n = 0; n < 9; n += 1) expect(check('Bearer x', '10.0.0.0').kind).toBe('Bad')
    for (let n = 0; n < 9; n += 1) check('Bearer x', '10.0.78.31')
    expect(check('Bearer x', '10.0.78.31').kind).toBe('TooMany')
  })
})

describe('the token file', () => {
  const text = (...entries: TokenEntry[]): string => JSON.stringify(entries)

  async function open(content: string, mode = 0o600) {
    const path = join(await makeTree({ 'tokens.yaml': content }), 'tokens.yaml')
    await chmod(path, mode)
    const clock = createManualClock(now)
    const errors: string[] = []
    const source = openTokenFile(path, { clock, onError: (why) => errors.push(why) })
    return { path, clock, errors, ids: () => ['laptop', 'phone'].filter((id) => source.find(id)) }
  }

  test.each([
    ['JSON', text(entry)],
    ['YAML', `- id: laptop\n  sha256: ${entry.sha256}\n  scopes: [read]\n  expiresAt: ${entry.expiresAt}\n`],
  ])('is read as %s', async (_, content) => {
    const { ids } = await open(content)
    expect(ids()).toEqual(['laptop'])
  })

  test.each([0o640, 0o604, 0o620, 0o644, 0o777])('that others may touch is refused: %o', async (mode) => {
    await expect(open(text(entry), mode)).rejects.toThrow('by others')
  })

  test.each([
    ['a broken one', '- id: [secret', 'tokens.yaml:1:14: '],
    ['one with aliases', '- &a {id: secret}\n- *a\n', 'must not have an anchor'],
    ['one with a field twice', '- {id: secret, id: secret}', 'is there twice in one map'],
    ['two documents', '[]\n---\n[]', 'has more than one document'],
    ['one without a list', 'secret', 'is no list of tokens'],
    ['a large one', `#${'x'.repeat(1024 * 1024)}`, 'is larger than 1024 KiB'],
  ])('%s is refused, and not quoted', async (_, content, why) => {
    const error = await open(content).catch((reason: Error) => reason)
    expect((error as Error).message).toContain(why)
    expect((error as Error).message).not.toContain('secret')
  })

  test('that is missing, or a folder, is refused', async () => {
    const folder = await makeTree({})
    const options = { clock: createManualClock(now), onError: () => {} }
    expect(() => openTokenFile(join(folder, 'none'), options)).toThrow('cannot be read: ENOENT')
    expect(() => openTokenFile(folder, options)).toThrow(/is no file/)
  })

  test('is read again when it has changed, and a bad one is told of and not used', async () => {
    const { path, clock, errors, ids } = await open(text(entry))
    await writeFile(path, text(entry, { ...entry, id: 'phone' }))
    expect(ids()).toEqual(['laptop'])
    await clock.advance(1000)
    expect(ids()).toEqual(['laptop', 'phone'])

    await writeFile(path, 'broken: [')
    await clock.advance(1000)
    expect(ids()).toEqual(['laptop', 'phone'])
    await clock.advance(1000)
    expect(ids()).toEqual(['laptop', 'phone'])
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatch(/tokens\.yaml:1:10: .*; the tokens from before stay in use$/)

    await writeFile(path, '[]')
    await clock.advance(1000)
    expect(ids()).toEqual([])
  })

  test('is read again when another one takes its place with the same size and time', async () => {
    const { path, clock, ids } = await open(text(entry))
    const { atime, mtime } = await stat(path)
    await writeFile(`${path}.2`, text({ ...entry, id: 'phone' }).padEnd(text(entry).length, ' '), {
      mode: 0o600,
    })
    await utimes(`${path}.2`, atime, mtime)
    await rename(`${path}.2`, path)
    await clock.advance(1000)
    expect(ids()).toEqual(['phone'])
  })

  test('takes new entries, and keeps what is in it', async () => {
    const path = join(await makeTree({}), 'tokens.yaml')
    await addToTokenFile(path, entry, now)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await writeFile(path, `# who reads\n${await readFile(path, 'utf8')}`)
    await addToTokenFile(path, { ...entry, id: 'phone', namespaces: ['default'] }, now)
    const written = await readFile(path, 'utf8')
    expect(written).toMatch(/^# who reads\n- id: laptop\n[^]*- id: phone\n/)
    await expect(addToTokenFile(path, entry, now)).rejects.toThrow('has a token laptop already')
    expect(await readFile(path, 'utf8')).toBe(written)
  })

  test('that is written in another way is left to its owner', async () => {
    const { path } = await open(text(entry))
    await expect(addToTokenFile(path, { ...entry, id: 'phone' }, now)).rejects.toThrow(
      'add the entry by hand',
    )
    expect(await readFile(path, 'utf8')).toBe(text(entry))
  })
})
