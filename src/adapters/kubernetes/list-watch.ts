import { backoff } from '../../core/backoff.ts'

/** What to ask the server for next. */
export type Ask =
  /** One page of the list; without `limit` the server may answer with all of it. */
  | { kind: 'List'; limit: number | undefined; continue: string | undefined }
  | { kind: 'Watch'; resourceVersion: string }

/** What came of asking. */
export type Outcome =
  | { kind: 'Page'; objects: readonly unknown[]; resourceVersion: string; continue: string | undefined }
  /** A watch that ended as watches do: `resourceVersion` is how far it had come, `changes` are events but bookmarks. */
  | { kind: 'Ended'; resourceVersion: string; lastedMs: number; changes: number }
  /** `status` is undefined without an answer. `resourceVersion` is how far a watch had come, where it had begun at all. */
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
  /** Failures in a row, since a watch had lasted. A list alone proves little, nor does a watch that ends at once. */
  failures: number
  /** The follower has been told that nothing is heard, and has heard nothing since. */
  isInterrupted: boolean
}

/** What a follower is told. */
export type Told =
  | { kind: 'Listed'; objects: readonly unknown[]; resourceVersion: string }
  /** Nothing is heard from now on, until a list or a watch begins; said once. */
  | { kind: 'Interrupted' }
  | undefined

/** As client-go pages, whose caches 10,000 objects are 20 pages of. */
const pageSize = 500
/** As kube-rs waits between tries. */
const baseMs = 800
const maxMs = 30_000
/** A kind that is not there, or not ours to see, is waited for in peace. */
const deniedMs = 30_000
/** A watch that ends sooner is followed by the next no sooner, and is a failure if it has told nothing. */
const shortWatchMs = 1000
/** A watch that has lasted so long was a healthy one. */
const healthyMs = 120_000
/** A watch that the server refuses so often in a row will not begin where it should: then from a new list. */
const refusals = 3

const firstPage: Ask = { kind: 'List', limit: pageSize, continue: undefined }

export const startListWatch = (): ListWatch => ({
  ask: firstPage,
  waitMs: 0,
  pages: [],
  failures: 0,
  isInterrupted: false,
})

/**
 * The state machine of following one kind: list it page by page, watch from there, and list again where that is told to
 * be too old. Pure; the caller asks, and tells what the second part says. `random01` is for jitter.
 */
export function afterOutcome(machine: ListWatch, outcome: Outcome, random01: number): [ListWatch, Told] {
  switch (outcome.kind) {
    case 'Page':
      return afterPage(machine, outcome)
    case 'Ended':
      return afterEnd(machine, outcome, random01)
    case 'Failed':
      return afterFailure(machine, outcome, random01)
  }
}

function afterPage(machine: ListWatch, page: Outcome & { kind: 'Page' }): [ListWatch, Told] {
  const pages = [...machine.pages, page.objects]
  if (page.continue !== undefined) {
    const ask: Ask = { kind: 'List', limit: pageSize, continue: page.continue }
    return [{ ...machine, ask, waitMs: 0, pages }, undefined]
  }
  const { resourceVersion } = page
  return [
    { ...machine, ask: { kind: 'Watch', resourceVersion }, waitMs: 0, pages: [], isInterrupted: false },
    { kind: 'Listed', objects: pages.flat(), resourceVersion },
  ]
}

function afterEnd(machine: ListWatch, end: Outcome & { kind: 'Ended' }, random01: number): [ListWatch, Told] {
  const { resourceVersion, lastedMs, changes } = end
  const ask: Ask = { kind: 'Watch', resourceVersion }
  const heard = { ...machine, ask, pages: [], isInterrupted: false }
  if (lastedMs >= shortWatchMs) return [{ ...heard, waitMs: 0, failures: 0 }, undefined]
  if (changes > 0) return [{ ...heard, waitMs: shortWatchMs - lastedMs }, undefined]
  return retry(heard, ask, {}, random01)
}

function afterFailure(
  before: ListWatch,
  outcome: Outcome & { kind: 'Failed' },
  random01: number,
): [ListWatch, Told] {
  const { status, resourceVersion, lastedMs } = outcome
  const machine: ListWatch = {
    ...before,
    failures: lastedMs >= healthyMs ? 0 : before.failures,
    isInterrupted: before.isInterrupted && resourceVersion === undefined,
  }
  const { ask, failures } = machine
  const relist = { ...machine, pages: [] }
  if (status !== 410) {
    if (ask.kind === 'List') return retry(machine, ask, outcome, random01)
    const isRefused = status !== undefined && status !== 429 && failures + 1 >= refusals
    if (isRefused) return retry(relist, firstPage, outcome, random01)
    return retry(
      machine,
      resourceVersion === undefined ? ask : { ...ask, resourceVersion },
      outcome,
      random01,
    )
  }
  // What it knew when the first page was made is gone: then all of it at once, which does not grow old.
  const isMidway = ask.kind === 'List' && ask.continue !== undefined
  const list: Ask = isMidway ? { kind: 'List', limit: undefined, continue: undefined } : firstPage
  // The first time at once; a server that calls its own lists too old is asked more and more slowly.
  if (failures > 0) return retry(relist, list, outcome, random01)
  return [{ ...relist, ask: list, waitMs: 0, failures: 1 }, undefined]
}

/** Asks again after a while that grows. */
function retry(
  machine: ListWatch,
  ask: Ask,
  { status, retryAfterMs = 0 }: { status?: number | undefined; retryAfterMs?: number },
  random01: number,
): [ListWatch, Told] {
  const failures = machine.failures + 1
  const denied = status === 403 || status === 404 ? deniedMs : 0
  const waitMs = Math.max(backoff({ attempt: failures, baseMs, maxMs, random01 }), retryAfterMs, denied)
  return [
    { ...machine, ask, waitMs, failures, isInterrupted: true },
    machine.isInterrupted ? undefined : { kind: 'Interrupted' },
  ]
}
