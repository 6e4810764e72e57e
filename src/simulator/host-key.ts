import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { SeededRandom } from '../adapters/clock/random.ts'

export type HostKeyType = 'ssh-ed25519' | 'ssh-rsa'

/** A host key as the model knows it: it only looks like one, which is cheap, and the same for the same seed. */
export interface HostKey {
  type: HostKeyType
  /** OpenSSH public-key line. */
  line: string
}

/** Length-prefixed, as everything in SSH. */
const field = (data: Uint8Array | string): Buffer => {
  const body = Buffer.from(data)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

const bytes = (random: SeededRandom, count: number): Buffer => {
  const buffer = Buffer.alloc(count)
  for (let at = 0; at < count; at += 1) buffer[at] = random.integer(0, 255)
  return buffer
}

const lineOf = (type: HostKeyType, blob: Buffer): string => `${type} ${blob.toString('base64')}`

export const createHostKey = (type: HostKeyType, random: SeededRandom): HostKey => {
  if (type === 'ssh-ed25519')
    return { type, line: lineOf(type, Buffer.concat([field(type), field(bytes(random, 32))])) }
  // The leading zero keeps the modulus positive.
  const modulus = Buffer.concat([Buffer.of(0, 0x80 | random.integer(0, 127)), bytes(random, 255)])
  return { type, line: lineOf(type, Buffer.concat([field(type), field(Buffer.of(1, 0, 1)), field(modulus)])) }
}

/** What precedes a seed in the PKCS #8 form of an ed25519 private key. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

const publicPart = (seed: Uint8Array): Buffer => {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
}

/** An ed25519 private key in the format of OpenSSH, which is the one that ssh2 reads. */
const openSshPrivateKey = (seed: Uint8Array): string => {
  const type = 'ssh-ed25519'
  const publicKey = publicPart(seed)
  const check = Buffer.alloc(8)
  const secret = Buffer.concat([
    check,
    field(type),
    field(publicKey),
    field(Buffer.concat([seed, publicKey])),
    field(''),
  ])
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, at) => at + 1))
  const count = Buffer.of(0, 0, 0, 1)
  const publicBlob = Buffer.concat([field(type), field(publicKey)])
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    count,
    field(publicBlob),
    field(Buffer.concat([secret, padding])),
  ])
  const lines = body.toString('base64').match(/.{1,70}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

let sharedRsaKey: { privateKey: string; line: string } | undefined

/** Real RSA keys are slow to make: all simulated servers of one process share one. */
const rsaKey = (): { privateKey: string; line: string } => {
  if (sharedRsaKey === undefined) {
    const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const { n = '', e = '' } = pair.publicKey.export({ format: 'jwk' })
    const modulus = Buffer.concat([Buffer.of(0), Buffer.from(n, 'base64url')])
    const blob = Buffer.concat([field('ssh-rsa'), field(Buffer.from(e, 'base64url')), field(modulus)])
    const privateKey = pair.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString()
    sharedRsaKey = { privateKey, line: lineOf('ssh-rsa', blob) }
  }
  return sharedRsaKey
}

/** A real key of the same type, always the same one, and the public-key line that a server will show for it. */
export const servableKey = ({ type, line }: HostKey): { privateKey: string; line: string } => {
  if (type === 'ssh-rsa') return rsaKey()
  const seed = createHash('sha256').update(line).digest()
  const blob = Buffer.concat([field(type), field(publicPart(seed))])
  return { privateKey: openSshPrivateKey(seed), line: lineOf(type, blob) }
}
