import type { Key } from '../../api/resources.ts'
import { ReflashError } from '../../core/errors.ts'
import { trimmedCredentials } from '../../core/credentials.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Secrets } from '../../ports/secrets.ts'
import { failureOf } from './api-failure.ts'
import type { Transport } from './transport.ts'

/** A fleet shares a few Secrets: one answer serves all who ask within this. */
const rememberMs = 10_000

type Entries = Readonly<Record<string, string>>

/**
 * Secrets of a cluster, read by name at each use; neither listed nor watched, which would need the right to see all.
 * `read` rejects with ReflashError `CredentialsInvalid` where they may not be read, and `ServerUnavailable`.
 */
export function createClusterSecrets(transport: Transport, clock: Clock): Secrets {
  const known = new Map<string, { at: number; entries: Promise<Entries | undefined> }>()

  const fetch = async ({ namespace, name }: Key): Promise<Entries | undefined> => {
    const path = `/api/v1/namespaces/${namespace}/secrets/${name}`
    const answer = await transport.request({ method: 'GET', path })
    if (answer.status === 404) return undefined
    if (answer.status === 403) {
      const how = `bind the ClusterRole reflash-credentials in namespace ${namespace}`
      throw new ReflashError('CredentialsInvalid', `Secret ${name} may not be read: ${how}`)
    }
    const failure = failureOf(answer, `Secret ${namespace}/${name}`)
    if (failure) throw failure
    const { data = {} } = answer.body as { data?: Record<string, string> }
    const entries = Object.entries(data).map(([key, value]) => [
      key,
      Buffer.from(value, 'base64').toString('utf8'),
    ])
    return trimmedCredentials(Object.fromEntries(entries) as Entries)
  }

  return {
    read(key) {
      const now = clock.monotonic()
      const id = `${key.namespace}/${key.name}`
      for (const [each, { at }] of known) if (now - at >= rememberMs) known.delete(each)
      let found = known.get(id)
      if (!found) {
        found = { at: now, entries: fetch(key) }
        known.set(id, found)
        // What failed is asked again by the next.
        found.entries.catch(() => known.delete(id))
      }
      return found.entries
    },
  }
}
