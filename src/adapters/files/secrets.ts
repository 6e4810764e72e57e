import type { Key } from '../../api/resources.ts'
import { trimmedCredentials } from '../../core/credentials.ts'
import { ReflashError } from '../../core/errors.ts'
import type { Secrets } from '../../ports/secrets.ts'
import { readMountedSecret } from './mounted-secret.ts'
import { idOf } from './parse-file.ts'
import type { DeclaredSecret } from './revision.ts'

export interface SecretsOptions {
  /** The Secrets of the revision in force, by `Secret/<namespace>/<name>`. */
  declared: () => ReadonlyMap<string, DeclaredSecret>
  /** Folder laid out as mounted Secrets: `<name>/<key>`, all in namespace `default`. */
  folder?: string
}

type Entries = Readonly<Record<string, string>>

/**
 * Secrets of a directory and of a folder of mounted ones, read at each use.
 * `read` rejects with ReflashError: `CredentialsInvalid` for a Secret that is in both, too large or leads out of the
 * folder, `NotFound` for one that cannot be read at the moment.
 */
export function createSecrets({ declared, folder }: SecretsOptions): Secrets {
  return {
    async read(key) {
      const inDirectory = declared().get(idOf('Secret', key))
      const mounted =
        folder !== undefined && key.namespace === 'default'
          ? await readMountedSecret(folder, key.name)
          : undefined
      if (inDirectory && mounted) throw inTwoPlaces(key, inDirectory)
      const entries = inDirectory?.secret.entries ?? mounted
      return entries && trimmedCredentials(entries)
    },
  }
}

const inTwoPlaces = ({ name }: Key, { file, line }: DeclaredSecret): ReflashError =>
  new ReflashError(
    'CredentialsInvalid',
    `Secret ${name} is in two places, ${file}:${line} and the folder of mounted Secrets; remove one`,
  )

/** Why nobody can log in with a private key, if so: to follow "the key". */
export type KeyProblem = (privateKey: string, passphrase: string | undefined) => string | undefined

/** Why a device cannot be logged in to with a Secret, in words that quote nothing of it. */
export function credentialProblem(entries: Entries, keyProblem?: KeyProblem): string | undefined {
  const { username, password, passphrase, 'ssh-privatekey': key } = trimmedCredentials(entries)
  if (username === undefined || username === '') return 'needs a username'
  if (password === undefined && key === undefined) return 'needs a password or an ssh-privatekey'
  if (key !== undefined && !/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(key.trimStart())) {
    return 'has an ssh-privatekey that is no private key; it begins with -----BEGIN'
  }
  const problem = key === undefined ? undefined : keyProblem?.(key, passphrase)
  return problem === undefined ? undefined : `has an ssh-privatekey that ${problem}`
}
