import { createPublicKey } from 'node:crypto'
import ssh2, { type AnyAuthMethod, type ParsedKey } from 'ssh2'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { Credentials } from '../../ports/connector.ts'

export interface Authentication {
  /** For messages: what is tried. */
  readonly method: 'password' | 'publickey'
  readonly username: string
  /** What to try next, given what the device still accepts (null: it has not said yet); undefined: nothing more. */
  next(accepted: readonly string[] | null): AnyAuthMethod | undefined
}

const invalid = (why: string) => new ReflashError('CredentialsInvalid', why, { cause: new Error(why) })

/** Below this a key can be computed from its public half. */
const minRsaBits = 2048

/** What may log in, or why it may not: to follow "the key". */
function readKey(privateKey: string, passphrase: string | undefined): ParsedKey | string {
  const parsed = ssh2.utils.parseKey(privateKey, passphrase)
  if (parsed instanceof Error) return `cannot be read: ${printable(messageOf(parsed), 200)}`
  // OpenSSH's format could hold several keys, but nothing writes more than one.
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  if (!key?.isPrivateKey()) return 'is a public key; give the private one'
  const bits = createPublicKey(key.getPublicPEM()).asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < minRsaBits)
    return `is RSA of ${bits} bits; at least ${minRsaBits} are needed`
  return key
}

/** The key that was read last: a fleet shares one, and an encrypted one takes a while to decrypt. */
let last: { privateKey: string; passphrase: string | undefined; key: ParsedKey | string } | undefined

function knownKey(privateKey: string, passphrase: string | undefined): ParsedKey | string {
  if (last?.privateKey !== privateKey || last.passphrase !== passphrase)
    last = { privateKey, passphrase, key: readKey(privateKey, passphrase) }
  return last.key
}

/** Why nobody can log in with a private key, if so: to follow "the key". Quotes nothing of it. */
export function privateKeyProblem(privateKey: string, passphrase: string | undefined): string | undefined {
  const key = knownKey(privateKey, passphrase)
  return typeof key === 'string' ? key : undefined
}

const byKey = (username: string, privateKey: string, passphrase: string | undefined): Authentication => {
  const key = knownKey(privateKey, passphrase)
  if (typeof key === 'string') throw invalid(`the private key of ${username} ${key}`)
  let tried = false
  return {
    method: 'publickey',
    username,
    next: () => {
      if (tried) return undefined
      tried = true
      return { type: 'publickey', username, key }
    },
  }
}

/** dropbear and OpenSSH let an account without a password in by "none", before any password is asked for. */
const byPassword = (username: string, password: string): Authentication => {
  const left: AnyAuthMethod[] = [{ type: 'password', username, password }]
  if (password === '') left.unshift({ type: 'none', username })
  return {
    method: 'password',
    username,
    next: (accepted) => {
      const method = left.shift()
      return method?.type === 'password' && accepted && !accepted.includes('password') ? undefined : method
    },
  }
}

/**
 * The one way in which one attempt authenticates, since a device allows few: the key if there is one, else the
 * password. @throws ReflashError `CredentialsInvalid` with the reason.
 */
export const authenticationFor = (credentials: Credentials): Authentication => {
  const { username, password, privateKey, passphrase } = credentials
  if (username === '') throw invalid('the credentials have no username')
  if (privateKey !== undefined) return byKey(username, privateKey, passphrase)
  if (password !== undefined) return byPassword(username, password)
  throw invalid(`the credentials of ${username} have neither a password nor a private key`)
}
