/** Get, list and watch of every kind, as Kubernetes' API has them. */
import { Hono, type Context } from 'hono'
import { hasCode, messageOf } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import { fullAccess, type Access, type ServerEnv } from './access.ts'
import { acceptedForm, type Form } from './accepted-form.ts'
import { answerList } from './answer-list.ts'
import type { ApiObject, Collection } from './collection.ts'
import { jsonResponse } from './json-response.ts'
import { asObjects, asTable, type Presentation } from './presentation.ts'
import { limits } from './limits.ts'
import {
  includedObject,
  readOptions,
  readVersion,
  type ReadLimits,
  type WatchOptions,
} from './read-options.ts'
import {
  forbidden,
  notAcceptable,
  notFound,
  notReady,
  tooLarge,
  tooManyWatches,
} from './resource-refusals.ts'
import { parseFieldSelector, parseLabelSelector, type Matches } from './selectors.ts'
import { statusError, statusResponse } from './status-error.ts'
import { tableLayout, type TableLayout } from './table.ts'
import { streamText } from './text-stream.ts'
import { createWatchCount } from './watch-count.ts'
import { watchCollection, type WatchedView } from './watch.ts'

export interface ResourceRoutesOptions {
  collections: readonly Collection[]
  clock: Clock
  /** Whether the collections have been filled; until then clients are told to come again. */
  isReady: () => boolean
  /** An object as such a request may see it; of the access only `sensitive` may decide. */
  show: (object: ApiObject, access: Access) => ApiObject
  maxPage?: number
  maxWatches?: number
  maxWatchesPerToken?: number
  maxWatchMs?: number
}

const defaultMaxWatches = 1000
const defaultMaxWatchesPerToken = 100

/** What a request is about, and how its answer is to be written. */
interface Asked {
  request: Request
  query: URLSearchParams
  access: Access
  name: string | undefined
  view: WatchedView
}

/** The routes of all kinds, to be mounted at `/`. What they do not know is left to whoever comes after. */
export function resourceRoutes(options: ResourceRoutesOptions): Hono<ServerEnv> {
  const { collections, clock, isReady } = options
  const readLimits: ReadLimits = {
    maxPage: options.maxPage ?? limits.page,
    maxWatchMs: options.maxWatchMs ?? limits.watchMs,
  }
  const watches = createWatchCount(
    options.maxWatches ?? defaultMaxWatches,
    options.maxWatchesPerToken ?? defaultMaxWatchesPerToken,
  )
  const show = createShow(options.show)

  const answerMany = async ({ request, query, access, view }: Asked): Promise<Response> => {
    const read = readOptions(query, readLimits)
    if ('kind' in read) return statusResponse(read)
    const selects = readSelectors(query, view.collection)
    const selecting = selects ? { ...view, matches: selects } : view
    if (read.type === 'list') {
      return answerList(selecting, read, { request, clock, isSelecting: selects !== undefined })
    }
    const slot = watches.take(access.tokenId)
    return slot ? answerWatch(selecting, read, { request, clock, slot }) : statusResponse(tooManyWatches)
  }

  const answer = async (
    context: Context<ServerEnv>,
    collection: Collection,
    layout: TableLayout,
  ): Promise<Response> => {
    const access = (context.get('access') as Access | undefined) ?? fullAccess
    const { namespace, name } = context.req.param() as { namespace?: string; name?: string }
    if (!mayRead(access, collection.info.namespaced ? namespace : name)) return statusResponse(forbidden)
    if (!isReady()) return statusResponse(notReady)
    const form = acceptedForm(context.req.header('Accept'))
    if (!form) return statusResponse(notAcceptable)
    const request = context.req.raw
    const query = new URL(request.url).searchParams
    try {
      const view: WatchedView = {
        collection,
        namespace,
        show: (object) => show(object, access),
        matches: () => true,
        presentation: presentationOf(form, { collection, layout, query, clock }),
      }
      const asked = { request, query, access, name, view }
      return name === undefined ? await answerMany(asked) : answerOne(asked, name)
    } catch (error) {
      if (!hasCode(error, 'Invalid')) throw error
      return statusResponse(statusError(400, 'BadRequest', messageOf(error)))
    }
  }

  const app = new Hono<ServerEnv>()
  for (const collection of collections) {
    const layout = tableLayout(collection.info)
    for (const path of pathsOf(collection)) {
      app.get(path, (context) => answer(context, collection, layout))
    }
  }
  return app
}

const mayRead = ({ namespaces }: Access, namespace: string | undefined): boolean =>
  namespaces === 'All' || (namespace !== undefined && namespaces.has(namespace))

function answerOne({ query, view }: Asked, name: string): Response {
  const { collection, namespace = '', presentation, show } = view
  const version = readVersion(query) ?? 0
  if (version > collection.version()) return statusResponse(tooLarge(version, collection.version()))
  const found = collection.get({ namespace, name })
  if (!found) return statusResponse(notFound(collection, name))
  return jsonResponse(`${presentation.one(show(found))}\n`)
}

function answerWatch(
  view: WatchedView,
  options: WatchOptions,
  { request, clock, slot }: { request: Request; clock: Clock; slot: () => void },
): Response {
  const headers = { 'Cache-Control': 'no-transform, no-store' }
  const current = view.collection.version()
  const { version = 0 } = options
  if (options.sendsInitial && version > current) {
    slot()
    return statusResponse(tooLarge(version, current))
  }
  if (request.method === 'HEAD') {
    slot()
    return jsonResponse(null, headers)
  }
  const body = streamText({ clock, signal: request.signal }, (stream) =>
    watchCollection(view, options, { stream, clock }).finally(slot),
  )
  return jsonResponse(body, headers)
}

function pathsOf({ info }: Collection): string[] {
  const { group, version, plural, namespaced, schema } = info
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  const one = namespaced ? `${base}/namespaces/:namespace/${plural}/:name` : `${base}/${plural}/:name`
  return [
    `${base}/${plural}`,
    ...(namespaced ? [`${base}/namespaces/:namespace/${plural}`] : []),
    one,
    ...(schema?.properties?.['status'] ? [`${one}/status`] : []),
  ]
}

/** What a request may see is worked out once for each object, and then has one text. */
function createShow(show: ResourceRoutesOptions['show']): ResourceRoutesOptions['show'] {
  const variants = { all: new WeakMap<ApiObject, ApiObject>(), less: new WeakMap<ApiObject, ApiObject>() }
  return (object, access) => {
    const known = access.sensitive ? variants.all : variants.less
    const found = known.get(object)
    if (found) return found
    const shown = show(object, access)
    known.set(object, shown)
    return shown
  }
}

function presentationOf(
  form: Form,
  options: { collection: Collection; layout: TableLayout; query: URLSearchParams; clock: Clock },
): Presentation {
  const { collection, layout, query, clock } = options
  if (form.type === 'json') return asObjects(collection.info)
  return asTable(layout, {
    version: form.version,
    included: includedObject(query),
    now: () => clock.now(),
  })
}

function readSelectors(query: URLSearchParams, { info }: Collection): Matches | undefined {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '')
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', info)
  return labels && fields ? (object) => labels(object) && fields(object) : (labels ?? fields)
}
