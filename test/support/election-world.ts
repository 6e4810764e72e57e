import { createManualClock, type ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createRandom, type SeededRandom } from '../../src/adapters/clock/random.ts'
import { createLeaseElector } from '../../src/adapters/kubernetes/lease-elector.ts'
import type { Lease } from '../../src/adapters/kubernetes/leases.ts'
import type { ApiAnswer, ApiRequest } from '../../src/adapters/kubernetes/transport.ts'
import type { ElectionTimes } from '../../src/core/election.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { Elector, Standing } from '../../src/ports/elector.ts'
import { aborted } from './aborted.ts'
import { createMemoryLeases, type MemoryLeases } from './memory-leases.ts'
import { createPausableProcess, type PausableProcess } from './pausable-process.ts'

/** What becomes of one request. Late is not never: what was given up on may be stored all the same. */
export interface Fate {
  /** Until the server acts; Infinity: it never does. */
  thereMs: number
  /** Until the answer is back; Infinity: it never is. */
  backMs: number
  /** Instead of acting. */
  answer?: ApiAnswer
  /** There is no way to the server. */
  isRefused?: boolean
}

export const prompt: Fate = { thereMs: 5, backMs: 5 }
export const refused: Fate = { ...prompt, isRefused: true }
export const unheard: Fate = { thereMs: 5, backMs: Infinity }
export const silent: Fate = { thereMs: Infinity, backMs: Infinity }

export interface Rival {
  identity: string
  process: PausableProcess
  elector: Elector
  requests: { at: number; method: ApiRequest['method'] }[]
  heard: Standing[]
  /** What its next requests meet with. */
  fate: (request: ApiRequest) => Fate
  /**
   * Stands for election; the work lasts until its signal is aborted, and then `drainMs` more. Meanwhile it looks at the
   * clock every `actMs`, and acts where it leads.
   */
  stand(options?: { drainMs?: number; actMs?: number; act?: () => void }): Candidacy
}

export interface Candidacy {
  /** That of the work, once it has begun. */
  signal: AbortSignal | undefined
  /** When that was aborted, by the clock of the world. */
  abortedAt: number | undefined
  outcome: 'Stopped' | 'Lost' | Error | undefined
  stop(): void
}

/** Rivals for one Lease in virtual time, each with its own idea of what time it is. */
export interface ElectionWorld {
  clock: ManualClock
  random: SeededRandom
  leases: MemoryLeases
  lease: () => NonNullable<Lease['spec']>
  rival: (identity: string, times?: Partial<ElectionTimes>) => Rival
}

const name = 'reflash'

export function createElectionWorld(seed: string | number = 1): ElectionWorld {
  const clock = createManualClock()
  const random = createRandom(seed)
  const leases = createMemoryLeases()

  /** As the transport of the product does it, over a network that does what `fate` says. */
  const request = async (asked: ApiRequest, process: PausableProcess, fate: Fate): Promise<ApiAnswer> => {
    const { limitMs = 30_000, signal } = asked
    const { thereMs, backMs, isRefused, answer: instead } = fate
    const unavailable = (why: string): ReflashError => new ReflashError('ServerUnavailable', why)
    if (isRefused) throw unavailable('connection refused')
    const sent = structuredClone({ method: asked.method, path: asked.path, body: asked.body })
    let answer = instead
    if (Number.isFinite(thereMs)) clock.after(thereMs, () => (answer ??= leases.answer(sent)))
    await process.clock.sleep(Math.min(thereMs + backMs, limitMs), signal)
    if (answer && thereMs + backMs <= limitMs) return answer
    throw unavailable('no answer in time')
  }

  return {
    clock,
    random,
    leases,
    lease: () => leases.get(name)!.spec!,
    rival(identity, times = {}) {
      const process = createPausableProcess(clock, random.fork(identity))
      const requests: Rival['requests'] = []
      const elector = createLeaseElector({
        transport: {
          request: (asked) => {
            requests.push({ at: clock.monotonic(), method: asked.method })
            return request(asked, process, rival.fate(asked))
          },
        },
        clock: process.clock,
        random: random.fork(`${identity}/jitter`),
        namespace: 'default',
        name,
        identity,
        times,
      })
      const heard: Standing[] = []
      elector.onChange((standing) => heard.push(standing))
      const rival: Rival = {
        identity,
        process,
        elector,
        requests,
        heard,
        fate: () => prompt,
        stand({ drainMs = 0, actMs = 0, act } = {}) {
          const stop = new AbortController()
          const candidacy: Candidacy = {
            signal: undefined,
            abortedAt: undefined,
            outcome: undefined,
            stop: () => process.run(() => stop.abort()),
          }
          const work = async (signal: AbortSignal): Promise<void> => {
            candidacy.signal = signal
            const acting = new AbortController()
            if (act) void actEvery(actMs, act, { elector, process, signal: acting.signal })
            await aborted(signal)
            candidacy.abortedAt = clock.monotonic()
            if (drainMs > 0) await process.clock.sleep(drainMs)
            acting.abort()
          }
          elector.lead(work, stop.signal).then(
            (outcome) => (candidacy.outcome = outcome),
            (error: Error) => (candidacy.outcome = error),
          )
          return candidacy
        },
      }
      return rival
    },
  }
}

async function actEvery(
  ms: number,
  act: () => void,
  { elector, process, signal }: { elector: Elector; process: PausableProcess; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    if (elector.standing().isLeader) act()
    await process.clock.sleep(ms, signal).catch(() => {})
  }
}
