import { Hono, type Context } from 'hono'
import type { Clock } from '../ports/clock.ts'
import type { Access, ServerEnv } from './access.ts'

/** A question about this process that is answered yes or no; one that throws or takes too long is a no. */
export interface HealthCheck {
  /** In kebab-case, as `?exclude=` names it. */
  name: string
  holds: () => boolean | Promise<boolean>
}

export interface HealthOptions {
  /** What must hold for the process to be left running: nothing that routers or other machines decide. */
  live: readonly HealthCheck[]
  /** What must hold besides before requests should come here. */
  ready: readonly HealthCheck[]
  clock: Clock
}

const checkLimitMs = 1000

/**
 * `/livez` (also as `/healthz`) and `/readyz`: 200 and the word `ok`, or 503 and `failed`. `?verbose` lists each check as
 * Kubernetes does, without the reasons, to those who may see anything; `?exclude=NAME` leaves one out.
 */
export function healthRoutes({ live, ready, clock }: HealthOptions): Hono<ServerEnv> {
  const app = new Hono<ServerEnv>()
  const answer = (path: string, checks: readonly HealthCheck[]): unknown =>
    app.get(`/${path}`, async (context) => report(context, path, await askAll(context, checks, clock)))
  answer('livez', live)
  answer('healthz', live)
  answer('readyz', [...live, ...ready])
  return app
}

interface Answer {
  name: string
  outcome: 'ok' | 'failed' | 'excluded'
}

async function askAll(
  context: Context<ServerEnv>,
  checks: readonly HealthCheck[],
  clock: Clock,
): Promise<Answer[]> {
  const excluded = new Set(context.req.queries('exclude'))
  return Promise.all(
    checks.map(async (check): Promise<Answer> => {
      const { name } = check
      if (excluded.has(name)) return { name, outcome: 'excluded' }
      return { name, outcome: (await holdsInTime(check, clock)) ? 'ok' : 'failed' }
    }),
  )
}

async function holdsInTime(check: HealthCheck, clock: Clock): Promise<boolean> {
  let cancel = (): void => {}
  const late = new Promise<boolean>((resolve) => {
    cancel = clock.after(checkLimitMs, () => resolve(false))
  })
  try {
    return await Promise.race([Promise.resolve(check.holds()), late])
  } catch {
    // Why is in the log of whoever owns the check; a probe is told that it failed, and no more.
    return false
  } finally {
    cancel()
  }
}

const lines = {
  ok: (name: string) => `[+]${name} ok`,
  failed: (name: string) => `[-]${name} failed: reason withheld`,
  excluded: (name: string) => `[+]${name} excluded: ok`,
} as const satisfies Record<Answer['outcome'], (name: string) => string>

function report(context: Context<ServerEnv>, path: string, answers: readonly Answer[]): Response {
  const passed = answers.every(({ outcome }) => outcome !== 'failed')
  const code = passed ? 200 : 503
  // A probe carries no token, so nothing is known of it where tokens are asked for.
  const access = context.get('access') as Access | undefined
  const isKnown = access !== undefined && (access.read || access.metrics)
  if (!isKnown || context.req.query('verbose') === undefined) {
    return context.text(passed ? 'ok' : 'failed', code)
  }
  const list = answers.map(({ name, outcome }) => lines[outcome](name))
  return context.text([...list, `${path} check ${passed ? 'passed' : 'failed'}`, ''].join('\n'), code)
}
