import type { Clock } from '../ports/clock.ts'
import { createBandwidth } from './bandwidth.ts'

/** What limits an upload: a share of the policy's bandwidth, and one of its upload slots. */
export interface UploadGate {
  throttle?: (bytes: number, signal: AbortSignal) => Promise<void>
  /**
   * Waits for a slot, `first` ahead of all others, and says so by `onWait`; the returned function gives it back. Rejects
   * with the signal's reason on abort.
   */
  enter: (signal: AbortSignal, options?: { first?: boolean; onWait?: () => void }) => Promise<() => void>
}

export interface UploadGates {
  of(policy: string, limits: { maxConcurrent?: number; maxMbps?: number } | undefined): UploadGate
}

const noWait: UploadGate['enter'] = async () => () => {}
const open: UploadGate = { enter: noWait }

/** Gates shared by all uploads of a policy; a changed limit makes a new gate, and uploads under way keep the old one. */
export function createUploadGates(clock: Clock): UploadGates {
  const gates = new Map<string, { spec: string; gate: UploadGate }>()
  return {
    of(policy, limits) {
      if (!limits || (limits.maxConcurrent === undefined && limits.maxMbps === undefined)) {
        gates.delete(policy)
        return open
      }
      const spec = JSON.stringify(limits)
      const known = gates.get(policy)
      if (known?.spec === spec) return known.gate
      const gate: UploadGate = {
        ...(limits.maxMbps === undefined
          ? {}
          : { throttle: createBandwidth(limits.maxMbps * 1_000_000, clock) }),
        enter: limits.maxConcurrent === undefined ? noWait : turnstile(limits.maxConcurrent),
      }
      gates.set(policy, { spec, gate })
      return gate
    },
  }
}

function turnstile(max: number): UploadGate['enter'] {
  let inside = 0
  const waiting: (() => void)[] = []
  const leave = (): void => {
    inside -= 1
    waiting.shift()?.()
  }
  return async (signal, { first = false, onWait } = {}) => {
    signal.throwIfAborted()
    if (inside >= max) onWait?.()
    while (inside >= max) {
      await new Promise<void>((resolve, reject) => {
        const turn = (): void => {
          signal.removeEventListener('abort', abort)
          resolve()
        }
        const abort = (): void => {
          waiting.splice(waiting.indexOf(turn), 1)
          reject(signal.reason as Error)
        }
        if (first) waiting.unshift(turn)
        else waiting.push(turn)
        signal.addEventListener('abort', abort, { once: true })
      })
    }
    inside += 1
    return leave
  }
}
