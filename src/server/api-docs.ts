import { Hono } from 'hono'
import type { ServerEnv } from './access.ts'
import { paths } from './api-routes.ts'
import { docsPage, docsPolicy } from './docs-page.ts'
import { hasAlready, taggedJson, tagOf } from './entity-tag.ts'
import { openApiDocument } from './openapi.ts'
import { accessOf, mayNotRead } from './status-routes.ts'

/** What our own routes are, for programs and for people. */
export function apiDocsRoutes({ version }: { version: string }): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>()
  const document = openApiDocument(version)
  app.get(paths.openapi, (context) =>
    accessOf(context).read ? taggedJson(context.req.raw, document) : mayNotRead(),
  )
  app.get(paths.docs, async (context) => {
    if (!accessOf(context).read) return mayNotRead()
    const page = await docsPage(version)
    const tag = tagOf(page)
    const headers = {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': docsPolicy,
      'Cache-Control': 'private, no-cache',
      ETag: tag,
    }
    return hasAlready(context.req.raw, tag)
      ? new Response(null, { status: 304, headers })
      : new Response(page, { headers })
  })
  return app
}
