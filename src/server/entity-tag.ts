import { hash } from 'node:crypto'

/** A strong entity tag of these bytes. */
export const tagOf = (text: string): string => `"${hash('sha256', text).slice(0, 32)}"`

/** Whether the client says that it has this very answer already. */
export function hasAlready(request: Request, tag: string): boolean {
  const known = request.headers.get('If-None-Match')?.split(',') ?? []
  return known.some((item) => ['*', tag, `W/${tag}`].includes(item.trim()))
}

/** JSON that is asked for again and again: its tag is of the text, so the same facts are the same answer. */
export function taggedJson(request: Request, value: unknown): Response {
  const text = `${JSON.stringify(value)}\n`
  const tag = tagOf(text)
  const headers = { 'Cache-Control': 'private, no-cache', ETag: tag }
  return hasAlready(request, tag)
    ? new Response(null, { status: 304, headers })
    : new Response(text, { headers: { ...headers, 'Content-Type': 'application/json' } })
}
