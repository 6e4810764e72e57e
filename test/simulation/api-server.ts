import { kindInfo, kinds } from '../../src/api/kinds.ts'
import type { AnyResource, Kind, Manifest } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { haltAnnotation } from '../../src/adapters/kubernetes/namespace-brake.ts'
import type { ApiAnswer, ApiRequest } from '../../src/adapters/kubernetes/transport.ts'
import { hasCode, messageOf } from '../../src/core/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { createMemoryLeases } from '../support/memory-leases.ts'

/** A server that is not asked for more sends this many objects a page, so that some lists have several. */
const pageSize = 8
const bookmarkMs = 60_000

export interface WatchOptions {
  kind: Kind
  /** Changes after this version are told. */
  from: number
  /** The server ends it after this. */
  lastsMs: number
  signal: AbortSignal
}

/** The API server of a cluster in virtual time, as far as a controller asks it. */
export interface ApiServer {
  /** `staleBy`: so many versions ago is what a list shows. */
  answer(request: ApiRequest, staleBy: number): Promise<ApiAnswer>
  /** One line an event. */
  watch(options: WatchOptions): AsyncGenerator<string>
  /** Which kind a request is about; undefined: none of ours. */
  kindOf(request: ApiRequest): Kind | undefined
}

interface Change {
  type: 'Added' | 'Modified' | 'Deleted'
  kind: Kind
  version: number
  text: string
}

const fail = (status: number, reason: string, message = reason): ApiAnswer => ({
  status,
  body: { apiVersion: 'v1', kind: 'Status', status: 'Failure', reason, message, code: status },
})
/** Whatever a server answers says what it is. */
const ok = (body: object, kind = 'List'): ApiAnswer => ({
  status: 200,
  body: { apiVersion: 'v1', kind, ...body },
})

/** Custom resources lie in `store`, everything else in here. */
export function createApiServer(parts: {
  store: DeclaredStore
  clock: Clock
  secret: Readonly<Record<string, string>>
  /** The value of the annotation that stops all starts. */
  halted: () => string | undefined
}): ApiServer {
  const { store, clock, secret, halted } = parts
  const leases = createMemoryLeases()
  const configMaps = new Map<string, string>()
  const log: Change[] = []
  let changed = Promise.withResolvers<void>()

  const append = (type: Change['type'], object: AnyResource): void => {
    const { kind, metadata } = object
    log.push({ type, kind, version: Number(metadata.resourceVersion), text: JSON.stringify(object) })
    changed.resolve()
    changed = Promise.withResolvers()
  }
  void (async () => {
    const { signal } = new AbortController()
    for await (const event of store.follow({ kinds: kinds.map(({ kind }) => kind), signal })) {
      if (event.type === 'Listed')
        for (const object of event.objects.toSorted(byVersion)) append('Added', object)
      else if ('object' in event) append(event.type, event.object)
    }
  })()

  const latest = (): number => log.at(-1)?.version ?? 1
  /** Of one kind, as it was. */
  const objectsAt = (kind: Kind, version: number): unknown[] => {
    const texts = new Map<string, string>()
    for (const change of log) {
      if (change.version > version) break
      if (change.kind !== kind) continue
      const { name } = (JSON.parse(change.text) as AnyResource).metadata
      if (change.type === 'Deleted') texts.delete(name)
      else texts.set(name, change.text)
    }
    return Array.from(texts.values(), (text) => JSON.parse(text) as unknown)
  }
  const list = (kind: Kind, { query = {} }: ApiRequest, staleBy: number): ApiAnswer => {
    const [version, start] = query['continue']?.split('/').map(Number) ?? [Math.max(1, latest() - staleBy), 0]
    const objects = objectsAt(kind, version!)
    const end = start! + Math.min(pageSize, Number(query['limit'] ?? Infinity))
    const isLast = query['limit'] === undefined || end >= objects.length
    return ok({
      metadata: { resourceVersion: String(version), ...(isLast ? {} : { continue: `${version}/${end}` }) },
      items: isLast ? objects.slice(start) : objects.slice(start, end),
    })
  }

  const onResource = async (kind: Kind, request: ApiRequest, staleBy: number): Promise<ApiAnswer> => {
    const { method, path, body } = request
    const place = placeOf(path)
    if (method === 'GET' && place === undefined) return list(kind, request, staleBy)
    try {
      switch (method) {
        case 'GET': {
          const object = await store.get(kind, place!)
          return object ? ok(object) : fail(404, 'NotFound')
        }
        case 'POST':
          return { status: 201, body: await store.create(body as Manifest) }
        case 'PATCH': {
          const patch = body as AnyResource & { metadata: { finalizers: string[] } }
          const object = { ...patch, kind, metadata: { ...patch.metadata, ...place } } as AnyResource
          return path.endsWith('/status')
            ? ok(await store.saveStatus(object))
            : ok(await store.setFinalizers(object, patch.metadata.finalizers))
        }
        case 'DELETE': {
          const { preconditions } = body as { preconditions?: { resourceVersion?: string } }
          await store.delete(kind, place!, preconditions)
          return ok({}, 'Status')
        }
        case 'PUT':
          return fail(405, 'MethodNotAllowed')
      }
    } catch (error) {
      if (hasCode(error, 'AlreadyExists', 'Conflict')) return fail(409, error.code, error.message)
      if (hasCode(error, 'NotFound')) return fail(404, 'NotFound', error.message)
      if (hasCode(error, 'Invalid')) return fail(422, 'Invalid', error.message)
      return fail(500, 'InternalError', messageOf(error))
    }
  }

  const onConfigMap = ({ method, path, body }: ApiRequest): ApiAnswer => {
    const name = /\/configmaps\/(.+)/.exec(path)?.[1]
    if (name === undefined && method === 'GET')
      return ok({
        metadata: {},
        items: Array.from(configMaps.values(), (text) => JSON.parse(text) as unknown),
      })
    const key = name ?? (body as { metadata: { name: string } }).metadata.name
    const known = configMaps.get(key)
    if (method === 'POST' ? known !== undefined : known === undefined)
      return method === 'POST' ? fail(409, 'AlreadyExists') : fail(404, 'NotFound')
    if (method === 'DELETE') configMaps.delete(key)
    else if (method !== 'GET') configMaps.set(key, JSON.stringify(body))
    return ok(method === 'GET' ? (JSON.parse(known!) as object) : (body as object), 'ConfigMap')
  }

  const kindOf = ({ path }: ApiRequest): Kind | undefined => {
    if (!path.startsWith(`/apis/${apiVersion}/`)) return undefined
    return kinds.find(({ plural }) => new RegExp(`/${plural}(/|$)`).test(path))?.kind
  }

  return {
    kindOf,
    async answer(request, staleBy) {
      const { path } = request
      const kind = kindOf(request)
      if (kind) return onResource(kind, request, staleBy)
      if (path.includes('/leases')) return leases.answer(request)
      if (path.includes('/configmaps')) return onConfigMap(request)
      if (path.includes('/secrets/')) return ok({ data: inBase64(secret) }, 'Secret')
      const why = halted()
      return ok(
        { metadata: { annotations: why === undefined ? {} : { [haltAnnotation]: why } } },
        'Namespace',
      )
    },
    async *watch({ kind, from, lastsMs, signal }) {
      const endsAt = clock.monotonic() + lastsMs
      let at = log.findIndex(({ version }) => version > from)
      if (at < 0) at = log.length
      let told = from
      let bookmarkAt = clock.monotonic() + bookmarkMs
      while (clock.monotonic() < endsAt) {
        const change = log[at]
        if (change) {
          at += 1
          told = change.version
          if (change.kind === kind) yield `{"type":"${change.type.toUpperCase()}","object":${change.text}}`
        } else if (clock.monotonic() >= bookmarkAt) {
          bookmarkAt = clock.monotonic() + bookmarkMs
          yield bookmark(kind, told)
        } else await either(changed.promise, Math.min(bookmarkAt, endsAt), { clock, signal })
      }
    },
  }
}

const byVersion = (a: AnyResource, b: AnyResource): number =>
  Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion)

/** Namespace and name at the end of a path, where it is one of an object. */
function placeOf(path: string): { namespace: string; name: string } | undefined {
  const [, namespace, name] = /\/namespaces\/([^/]+)\/[^/]+\/([^/]+)/.exec(path) ?? []
  return name === undefined ? undefined : { namespace: namespace!, name }
}

const inBase64 = (entries: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(entries).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  )

const bookmark = (kind: Kind, version: number): string =>
  JSON.stringify({
    type: 'BOOKMARK',
    object: { apiVersion, kind: kindInfo(kind).kind, metadata: { resourceVersion: String(version) } },
  })

/** Until the promise resolves or the time has come. Rejects with the signal's reason. */
const either = (
  promise: Promise<void>,
  until: number,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> =>
  new Promise((resolve, reject) => {
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', abort)
      resolve()
    }
    const abort = (): void => {
      cancel()
      reject(signal.reason as Error)
    }
    const cancel = clock.after(until - clock.monotonic(), end)
    void promise.then(end)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
