import { indented, tell } from './report.ts'
import { runSuite, type Outcome } from './run-suite.ts'
import { lastSeconds, limitSeconds, sizeOf } from './shares.ts'
import type { Suite } from './suites.ts'

/** Now and then a suite that takes long says that it is still at it. */
const aliveEveryMs = 30_000

/** Runs them one after the other, within about so many minutes whatever they do. */
export async function runSuites(
  suites: readonly Suite[],
  minutes: number,
  interrupted: AbortSignal,
): Promise<Outcome[]> {
  const startedMs = performance.now()
  const passedSeconds = (): number => (performance.now() - startedMs) / 1000
  const end = new AbortController()
  const timer = setTimeout(() => end.abort('the time of the whole run was over'), lastSeconds(minutes) * 1000)
  const stop = AbortSignal.any([interrupted, end.signal])
  const outcomes: Outcome[] = []
  for (const [index, suite] of suites.entries()) {
    if (interrupted.aborted) break
    const place = `[${index + 1}/${suites.length}] ${suite.name}`
    const next = [suite, ...suites.slice(index + 1)] as const
    const wholeSeconds = minutes * 60
    const { env, seconds } = sizeOf(next, { leftSeconds: wholeSeconds - passedSeconds(), wholeSeconds })
    tell(`${place}: ${suite.title}; about ${seconds} s`)
    const outcome = await withinLimit(seconds, stop, (signal) =>
      showing(place, seconds, () => runSuite(suite, { env, signal })),
    )
    tell(`${place}: ${outcome.result.toLowerCase()} after ${outcome.seconds} s`)
    if (outcome.result === 'Failed') tell(indented(outcome.why))
    outcomes.push(outcome)
  }
  clearTimeout(timer)
  return outcomes
}

/** One signal ends a suite: its own limit, the end of the whole run, or a person. */
async function withinLimit<T>(
  expected: number,
  stop: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = limitSeconds(expected)
  const own = new AbortController()
  const timer = setTimeout(() => own.abort(`it hung: no end after ${limit} s`), limit * 1000)
  try {
    return await run(AbortSignal.any([own.signal, stop]))
  } finally {
    clearTimeout(timer)
  }
}

async function showing<T>(place: string, expected: number, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now()
  const timer = setInterval(
    () => tell(`${place}: ${Math.round((performance.now() - startedMs) / 1000)} of about ${expected} s`),
    aliveEveryMs,
  )
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}
