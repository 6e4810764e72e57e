import { hash } from 'node:crypto'
import type { Key } from '../../api/resources.ts'
import { trimmedCredentials } from '../../core/credentials.ts'
import { hasCode, ReflashError } from '../../core/errors.ts'
import { keyString } from '../../core/keys.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Secrets } from '../../ports/secrets.ts'
import { failureOf, isAbsent } from './api-failure.ts'
import type { Transport } from './transport.ts'

/** A fleet shares a few Secrets: one answer serves all who ask within this. */
const rememberMs = 10_000
/** What is not there may come with the next object of the same file. */
const rememberMissingMs = 1000
/** Secrets in use are looked at again in turns: so many, so often. */
const lookEveryMs = 5000
const looksPerTurn = 20
/** Devices are asked at least four times in this; a Secret that nobody has read for so long is not in use. */
const forgetMs = 60 * 60_000

type Entries = Readonly<Record<string, string>>

export interface ClusterSecrets extends Secrets {
  /**
   * Tells of Secrets in use, as `namespace/name`, that came, changed or went, until the signal is aborted. They are asked
   * for one by one, because to watch them would need the right to see all.
   */
  follow(signal: AbortSignal, onChanged: (changed: ReadonlySet<string>) => void): Promise<void>
}

/** A Secret that somebody has read: what it was then is known by its digest alone. */
interface Used {
  key: Key
  readAt: number
  digest: string
}

/**
 * Secrets of a cluster, read by name at each use; neither listed nor watched. `read` rejects with ReflashError
 * `CredentialsInvalid` where they may not be read, and `ServerUnavailable`.
 */
export function createClusterSecrets(transport: Transport, clock: Clock): ClusterSecrets {
  const known = new Map<string, { until: number; entries: Promise<Entries | undefined> }>()
  /** In the order in which they are to be looked at. */
  const used = new Map<string, Used>()
  /** What one reader saw otherwise than the one before, who has to be told. */
  const differing = new Set<string>()

  const fetch = async ({ namespace, name }: Key): Promise<Entries | undefined> => {
    const path = `/api/v1/namespaces/${namespace}/secrets/${name}`
    const answer = await transport.request({ method: 'GET', path })
    if (isAbsent(answer)) return undefined
    const failure = failureOf(answer, `Secret ${namespace}/${name}`)
    if (hasCode(failure, 'Forbidden') && answer.status === 403) {
      const how = `bind the ClusterRole reflash-credentials in namespace ${namespace}`
      throw new ReflashError('CredentialsInvalid', `Secret ${name} may not be read: ${how}`)
    }
    if (failure) throw failure
    const { data = {} } = answer.body as { data?: Record<string, string> }
    const entries = Object.entries(data).map(([key, value]) => [
      key,
      Buffer.from(value, 'base64').toString('utf8'),
    ])
    return trimmedCredentials(Object.fromEntries(entries) as Entries)
  }

  const read = (key: Key): Promise<Entries | undefined> => {
    const now = clock.monotonic()
    const id = keyString(key)
    for (const [each, { until }] of known) if (now >= until) known.delete(each)
    const remembered = known.get(id)
    if (remembered) return remembered.entries
    const entries = fetch(key)
    const entry = { until: now + rememberMs, entries }
    known.set(id, entry)
    const note = (digest: string): void => {
      const before = used.get(id)
      if (before && before.digest !== digest) differing.add(id)
      used.set(id, { key, readAt: now, digest })
    }
    entries.then(
      (found) => {
        if (!found) entry.until = now + rememberMissingMs
        note(digestOf(found))
      },
      () => {
        // What failed is asked again by the next.
        known.delete(id)
        note(unreadable)
      },
    )
    return entries
  }

  /** The ids of those of the next turn that are not what they were when they were read. */
  const look = async (): Promise<Set<string>> => {
    const changed = new Set(differing)
    differing.clear()
    for (const [id, one] of [...used].slice(0, looksPerTurn)) {
      used.delete(id)
      if (clock.monotonic() - one.readAt > forgetMs) continue
      const digest = await fetch(one.key).then(digestOf, (error: unknown) =>
        hasCode(error, 'CredentialsInvalid') ? unreadable : one.digest,
      )
      // Whoever has read it meanwhile has set it anew.
      if (!used.has(id)) used.set(id, { ...one, digest })
      if (digest === one.digest) continue
      known.delete(id)
      changed.add(id)
    }
    return changed
  }

  return {
    read,
    async follow(signal, onChanged) {
      while (!signal.aborted) {
        await clock.sleep(lookEveryMs, signal).catch(() => undefined)
        if (signal.aborted) return
        const changed = await look()
        if (changed.size > 0 && !signal.aborted) onChanged(changed)
      }
    },
  }
}

const unreadable = 'unreadable'
const digestOf = (entries: Entries | undefined): string => {
  if (!entries) return 'missing'
  const names = Object.keys(entries).toSorted((a, b) => (a < b ? -1 : 1))
  return hash('sha256', JSON.stringify(names.map((name) => [name, entries[name]])))
}
