import { Hono, type Context } from 'hono'
import type { Key } from '../api/resources.ts'
import { mayRead, type BlockedQuery, type StatusReader } from '../controllers/fleet-status.ts'
import { hasCode } from '../core/errors.ts'
import { blockedReasons, type BlockedReason } from '../core/reasons.ts'
import { fullAccess, type Access, type ServerEnv } from './access.ts'
import { paths } from './api-routes.ts'
import { taggedJson } from './entity-tag.ts'
import { limits } from './limits.ts'
import { problem } from './problem.ts'
import { pageToken, readNumber, readPageToken, readQuery, readWord } from './query.ts'

const reasons = Object.keys(blockedReasons) as BlockedReason[]

/** Takes out of a text about one device what whoever asks may not see. */
export type Redact = (text: string, device: Key, access: Access) => string

/** `/api/status/v1`: where the fleet stands, counted. Each answer has an entity tag. */
export function statusRoutes({ status, redact }: { status: StatusReader; redact: Redact }): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>()
  app.onError((error) => {
    if (hasCode(error, 'Invalid')) return problem(400, error.message)
    throw error
  })

  app.get(paths.fleet, async (context) => {
    const access = accessOf(context)
    if (!access.read) return mayNotRead()
    readQuery(context.req.url, [])
    return taggedJson(context.req.raw, await status.fleet(access.namespaces))
  })

  app.get(paths.policy, (context) => {
    const key = context.req.param()
    const access = accessOf(context)
    if (!mayReadIn(access, key.namespace)) return mayNotRead()
    readQuery(context.req.url, [])
    const found = status.policy(key)
    if (!found) return notThere('policy', key)
    const models = found.models.map((model) => ({
      ...model,
      failing: model.failing.map((failing) => ({
        ...failing,
        message: redact(failing.message, { namespace: key.namespace, name: failing.device }, access),
      })),
    }))
    return taggedJson(context.req.raw, { ...found, models })
  })

  app.get(paths.devices, async (context) => {
    const access = accessOf(context)
    const query = blockedQuery(context.req.url, access)
    if (!query) return mayNotRead()
    const { last, ...page } = await status.blocked(query)
    const items = page.items.map((item) => ({ ...item, message: redact(item.message, item, access) }))
    return taggedJson(context.req.raw, { ...page, items, ...(last ? { continue: pageToken(last) } : {}) })
  })

  app.get(paths.device, async (context) => {
    const key = context.req.param()
    const access = accessOf(context)
    if (!mayReadIn(access, key.namespace)) return mayNotRead()
    readQuery(context.req.url, [])
    const found = await status.device(key)
    if (!found) return notThere('device', key)
    const checks = found.checks.map((check) =>
      check.message === undefined ? check : { ...check, message: redact(check.message, key, access) },
    )
    return taggedJson(context.req.raw, { ...found, checks })
  })
  return app
}

export const accessOf = (context: Context<ServerEnv>): Access => context.get('access') ?? fullAccess

export const mayReadIn = ({ read, namespaces }: Access, namespace: string): boolean =>
  read && mayRead(namespaces, namespace)

/** The same words whether it is there or not. */
export const mayNotRead = (): Response => problem(403, 'this token may not read that')

export const notThere = (what: string, { namespace, name }: Key): Response =>
  problem(404, `there is no ${what} ${name} in namespace ${namespace}`)

/** Undefined when the namespace that is asked for may not be read. @throws ReflashError `Invalid`. */
function blockedQuery(url: string, access: Access): BlockedQuery | undefined {
  const query = readQuery(url, ['reason', 'namespace', 'policy', 'limit', 'continue'])
  const reason = readWord('reason', query.reason, reasons)
  const after = readPageToken(query.continue)
  const { namespace, policy } = query
  if (!access.read || (namespace !== undefined && !mayReadIn(access, namespace))) return undefined
  return {
    namespaces: namespace === undefined ? access.namespaces : new Set([namespace]),
    ...(reason === undefined ? {} : { reason }),
    ...(policy === undefined ? {} : { policy }),
    ...(after ? { after } : {}),
    limit: readNumber('limit', query.limit, { least: 1, most: limits.page, absent: limits.page }),
  }
}
