import { backoff } from '../../core/backoff.ts'

/** What to ask the server for next. */
export type Ask =
  /** One page of the list; without `limit` the server may answer with all of it. */
  | { kind: 'List'; limit: number | undefined; continue: string | undefined }
  | { kind: 'Watch'; resourceVersion: string }

/** What came of asking. */
export type Outcome =
  | { kind: 'Page'; objects: readonly unknown[]; resourceVersion: string; continue: string | undefined }
  /** A watch that ended as watches do: `resourceVersion` is how far it had come. */
  | { kind: 'Ended'; resourceVersion: string; lastedMs: number; events: number }
  /** `resourceVersion` is how far a watch had come before that. */
  | {
      kind: 'Failed'
      status: number | undefined
      retryAfterMs?: number
      resourceVersion?: string
      lastedMs: number
    }

export interface ListWatch {
  ask: Ask
  /** Before asking. */
  waitMs: number
  /** Pages of the list so far. */
  pages: readonly (readonly unknown[])[]
  /** Failures in a row, since a watch had lasted or told something. A list alone proves little: see `afterFailure`. */
  failures: number
}

/** What a follower is told. */
export type Told =
  | { kind: 'Listed'; objects: readonly unknown[]; resourceVersion: string }
  /** Nothing is heard from now on; said once. */
  | { kind: 'Interrupted' }
  | undefined

/** As client-go pages, whose caches 10,000 objects are 20 pages of. */
const pageSize = 500
/** As kube-rs waits between tries. */
const baseMs = 800
const maxMs = 30_000
/** A kind that is not there, or not ours to see, is waited for in peace. */
const deniedMs = 30_000
/** A watch that ends sooner without having told anything is a failure, or the next would follow at once, for ever. */
const shortWatchMs = 1000
/** A watch that has lasted so long was a healthy one. */
const healthyMs = 120_000

const firstPage: Ask = { kind: 'List', limit: pageSize, continue: undefined }

export const startListWatch = (): ListWatch => ({ ask: firstPage, waitMs: 0, pages: [], failures: 0 })

/**
 * The state machine of following one kind: list it page by page, watch from there, and list again where that is told to
 * be too old. Pure; the caller asks, and tells what the second part says. `random01` is for jitter.
 */
export function afterOutcome(machine: ListWatch, outcome: Outcome, random01: number): [ListWatch, Told] {
  switch (outcome.kind) {
    case 'Page':
      return afterPage(machine, outcome)
    case 'Ended': {
      const watch: Ask = { kind: 'Watch', resourceVersion: outcome.resourceVersion }
      if (outcome.lastedMs < shortWatchMs && outcome.events === 0)
        return retry(machine, watch, outcome, random01)
      return [{ ask: watch, waitMs: 0, pages: [], failures: 0 }, undefined]
    }
    case 'Failed':
      return afterFailure(machine, outcome, random01)
  }
}

function afterPage(machine: ListWatch, page: Outcome & { kind: 'Page' }): [ListWatch, Told] {
  const pages = [...machine.pages, page.objects]
  if (page.continue !== undefined) {
    const ask: Ask = { kind: 'List', limit: pageSize, continue: page.continue }
    return [{ ask, waitMs: 0, pages, failures: machine.failures }, undefined]
  }
  const ask: Ask = { kind: 'Watch', resourceVersion: page.resourceVersion }
  const objects = pages.flat()
  return [
    { ask, waitMs: 0, pages: [], failures: machine.failures },
    { kind: 'Listed', objects, resourceVersion: page.resourceVersion },
  ]
}

function afterFailure(
  machine: ListWatch,
  outcome: Outcome & { kind: 'Failed' },
  random01: number,
): [ListWatch, Told] {
  const { ask } = machine
  if (outcome.status !== 410) {
    const { resourceVersion } = outcome
    const again: Ask =
      ask.kind === 'Watch' && resourceVersion !== undefined ? { kind: 'Watch', resourceVersion } : ask
    return retry(machine, again, outcome, random01)
  }
  // What it knew when the first page was made is gone: then all of it at once, which does not grow old.
  const isMidway = ask.kind === 'List' && ask.continue !== undefined
  const list: Ask = isMidway ? { kind: 'List', limit: undefined, continue: undefined } : firstPage
  const relist = { ...machine, pages: [] }
  // The first time at once; a server that calls its own lists too old is asked more and more slowly.
  if (machine.failures > 0) return retry(relist, list, outcome, random01)
  return [{ ...relist, ask: list, waitMs: 0, failures: 1 }, undefined]
}

/** Asks again after a while that grows. */
function retry(
  machine: ListWatch,
  ask: Ask,
  { lastedMs, ...outcome }: { lastedMs: number; status?: number | undefined; retryAfterMs?: number },
  random01: number,
): [ListWatch, Told] {
  const failures = (lastedMs >= healthyMs ? 0 : machine.failures) + 1
  const denied = outcome.status === 403 || outcome.status === 404 ? deniedMs : 0
  const waitMs = Math.max(
    backoff({ attempt: failures, baseMs, maxMs, random01 }),
    outcome.retryAfterMs ?? 0,
    denied,
  )
  return [
    { ask, waitMs, pages: machine.pages, failures },
    failures === 1 ? { kind: 'Interrupted' } : undefined,
  ]
}
