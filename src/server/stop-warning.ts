import type { MiddlewareHandler } from 'hono'
import { printable } from '../core/printable.ts'
import type { ServerEnv } from './access.ts'

const maxLength = 512

/**
 * Tells whoever reads objects while all starts are stopped, in the header that kubectl prints as `Warning: …` (RFC 7234
 * section 5.5, of which client-go reads `299 - "text"`): a stop writes no device, so no device says it.
 */
export const warnOfStop =
  (stop: () => Promise<{ message: string } | undefined>): MiddlewareHandler<ServerEnv> =>
  async (context, next) => {
    await next()
    if (!context.res.ok) return
    const stopped = await stop()
    if (stopped) context.res.headers.set('Warning', `299 - ${quoted(`nothing starts: ${stopped.message}`)}`)
  }

const quoted = (text: string): string => `"${printable(text, maxLength).replaceAll(/["\\]/g, '\\$&')}"`
