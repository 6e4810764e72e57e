import { keyString } from '../core/keys.ts'
import { printable } from '../core/printable.ts'
import { toTime } from '../core/time.ts'
import type { Clock } from '../ports/clock.ts'
import type { EventSink, FleetEvent } from '../ports/event-sink.ts'
import type { LiveFeed, LiveLine } from '../ports/live-feed.ts'

export interface LiveLimits {
  lines: number
  operations: number
}

// The lines of one attempt are about 150: a percentage each, and what is said besides.
const defaultLimits: LiveLimits = { lines: 500, operations: 2000 }
const maxLineLength = 1024

/** The lines of one operation, numbered without gaps from `begin`. */
interface Ring {
  begin: number
  next: number
  lines: LiveLine[]
}

/** A line before it is numbered. */
type Said = LiveLine extends infer Line ? (Line extends unknown ? Omit<Line, 'id' | 'time'> : never) : never

/**
 * Keeps what is emitted of each operation. Ids begin at the time, or at `firstId` where a process before this one has
 * gone beyond it, because a wall clock may be set back.
 */
export function createLiveFeed(options: {
  clock: Clock
  firstId?: number
  limits?: Partial<LiveLimits>
}): EventSink & LiveFeed {
  const { clock } = options
  const limits = { ...defaultLimits, ...options.limits }
  // In the order of their last line.
  const rings = new Map<string, Ring>()
  const listeners = new Map<string, Set<() => void>>()
  /** Beyond every id given out: an operation that comes back after its lines were dropped goes on above them. */
  let unused = options.firstId ?? 0

  const ringOf = (id: string): Ring => {
    const known = rings.get(id)
    const begin = Math.max(unused, clock.now())
    const ring = known ?? { begin, next: begin, lines: [] }
    rings.delete(id)
    rings.set(id, ring)
    if (rings.size > limits.operations) {
      const [quietest] = rings.keys()
      rings.delete(quietest!)
    }
    return ring
  }

  return {
    emit(event) {
      const said = saidBy(event)
      if (!said || !('operation' in event)) return
      const id = keyString(event.operation)
      if (isRepeated(rings.get(id)?.lines, said)) return
      const ring = ringOf(id)
      ring.lines.push({ id: ring.next, time: toTime(clock.now()), ...said })
      ring.next += 1
      unused = Math.max(unused, ring.next)
      // Twice the limit before anything is dropped, so that a line costs no work that grows with the ring.
      if (ring.lines.length >= 2 * limits.lines) ring.lines = ring.lines.slice(-limits.lines)
      for (const listener of listeners.get(id) ?? []) listener()
    },
    since(operation, id) {
      const ring = rings.get(keyString(operation))
      if (!ring) return { lines: [], missed: 0 }
      // An id that was never given out is of another time: whoever brings it reads from the beginning.
      const after = id >= ring.next ? ring.begin - 1 : Math.max(id, ring.begin - 1)
      const oldest = ring.next - ring.lines.length
      const missed = Math.max(0, oldest - after - 1)
      return { lines: ring.lines.slice(after + 1 + missed - oldest), missed }
    },
    onChange(operation, listener) {
      const id = keyString(operation)
      const own = listeners.get(id) ?? new Set()
      listeners.set(id, own.add(listener))
      return () => {
        own.delete(listener)
        if (own.size === 0 && listeners.get(id) === own) listeners.delete(id)
      }
    },
  }
}

function saidBy(event: FleetEvent): Said | undefined {
  switch (event.type) {
    case 'Phase':
      return { type: 'Phase', phase: event.phase, message: printable(event.message, maxLineLength) }
    case 'Progress': {
      const { percent, sentBytes, totalBytes } = event
      return { type: 'Progress', percent, sentBytes, totalBytes }
    }
    case 'Log':
      return { type: 'Log', text: printable(event.line, maxLineLength) }
    case 'Warning':
    case 'Info':
    case 'Bug':
      return undefined
  }
}

/** Neither a percentage that has not moved nor the same words again are worth a line. */
function isRepeated(lines: readonly LiveLine[] | undefined, said: Said): boolean {
  const last = lines?.at(-1)
  if (said.type === 'Progress') return last?.type === 'Progress' && last.percent === said.percent
  return said.type === 'Log' && last?.type === 'Log' && last.text === said.text
}
