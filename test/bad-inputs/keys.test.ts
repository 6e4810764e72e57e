import ssh2 from 'ssh2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reflash, type CliResult } from '../support/cli.ts'
import { readLog, secretText, startServedFleet, type ServedFleet } from '../support/served-fleet.ts'
import { startsOf } from './play.ts'
import { takeFigures } from './tally.ts'

const { generateKeyPairSync } = ssh2.utils
const modern = generateKeyPairSync('ed25519')
const locked = generateKeyPairSync('ed25519', { passphrase: 'hunter2', cipher: 'aes256-ctr', rounds: 4 })
const small = generateKeyPairSync('rsa', { bits: 1024 })

/** What the Secret of a router says, what validate says of it, and what a run does. */
const keys: readonly [what: string, entries: Record<string, string>, validated: string, run?: string][] = [
  [
    'locked by a passphrase that is not there',
    { 'ssh-privatekey': locked.private },
    'has an ssh-privatekey that cannot be read: Encrypted private OpenSSH key detected, but no passphrase given',
    'the private key of root cannot be read: Encrypted private OpenSSH key detected, but no passphrase given',
  ],
  [
    'locked by another passphrase',
    { 'ssh-privatekey': locked.private, passphrase: 'hunter3' },
    'has an ssh-privatekey that cannot be read: ',
    'the private key of root cannot be read: ',
  ],
  [
    'the public half',
    { 'ssh-privatekey': modern.public },
    'has an ssh-privatekey that is no private key; it begins with -----BEGIN',
    'the private key of root is a public key; give the private one',
  ],
  [
    'RSA of 1024 bits',
    { 'ssh-privatekey': small.private },
    'has an ssh-privatekey that is RSA of 1024 bits; at least 2048 are needed',
    'the private key of root is RSA of 1024 bits; at least 2048 are needed',
  ],
  [
    'empty',
    { 'ssh-privatekey': '' },
    'has an ssh-privatekey that is no private key; it begins with -----BEGIN',
    'the private key of root cannot be read: ',
  ],
]

const deviceOf = (index: number): string => `ap-00${index + 1}`

describe('B25: a fleet of which some routers have keys that are none', { timeout: 60_000 }, () => {
  let fleet: ServedFleet
  let validation: CliResult
  let ran: CliResult

  beforeAll(async () => {
    fleet = await startServedFleet({ count: keys.length + 1 })
    for (const [index, [, entries]] of keys.entries()) {
      await fleet.write(`key-${index}.yaml`, secretText(`key-${index}`, { username: 'root', ...entries }))
      await fleet.writeDevice(index, { credentialsRef: { name: `key-${index}` } })
    }
    ;[validation, ran] = await Promise.all([reflash(['validate', fleet.directory]), fleet.run('--once')])
  })
  afterAll(() => fleet.stop())
  const figures = takeFigures('keys', keys.length)

  test.each(keys)('%s: validate says where, and only its device waits', async (what, _, validated, run) => {
    const index = keys.findIndex(([name]) => name === what)
    const name = deviceOf(index)
    const lines = validation.stdout.split('\n').filter((line) => line.startsWith(`devices/${name}.yaml:`))
    expect(lines).toEqual([
      expect.stringMatching(
        /^devices\/ap-00\d\.yaml:8:27: spec\.credentialsRef: Secret key-\d in namespace default /,
      ),
    ])
    expect(lines[0]).toContain(validated)
    const device = (await fleet.stored('Device')).find(({ metadata }) => metadata.name === name)!
    expect(device.status.blocked?.message).toContain(run)
    expect(readLog(ran.stderr).words.filter((words) => words.startsWith(`device ${name}: `))).toHaveLength(1)
    figures.noteStarts(startsOf(fleet.routers[index]!))
    expect(startsOf(fleet.routers[index]!)).toBe(0)
    figures.noteCase()
  })

  test('the others are upgraded; the exit codes say that something is wrong, and nothing quotes a key', () => {
    expect(startsOf(fleet.routers.at(-1)!)).toBe(1)
    expect({ validate: validation.code, run: ran.code }).toEqual({ validate: 1, run: 1 })
    const said = [validation, ran].map(({ stdout, stderr }) => stdout + stderr).join('')
    for (const text of ['hunter2', 'hunter3', modern.public.split(' ')[1]!, small.private.split('\n')[3]!])
      expect(said).not.toContain(text)
  })
})
