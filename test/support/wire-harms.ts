import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import type { FaultProxy } from './fault-proxy.ts'
import type { Direction, Reach, Toxic } from './toxics.ts'

/** One of the twelve ways in which a wire does harm. */
export interface WireHarm {
  name: string
  /** Nothing whole comes through any more, in the direction that is harmed. */
  breaks: boolean
  /** Switches it on, from so many more bytes on; the returned function switches it off. */
  strike: (proxy: FaultProxy, where: { direction: Direction; afterBytes: number }) => () => void
}

const once =
  (toxic: Toxic): WireHarm['strike'] =>
  (proxy, where) =>
    proxy.add(toxic, where)
const at =
  (toxic: Toxic): WireHarm['strike'] =>
  (proxy, { direction }) =>
    proxy.add(toxic, { direction })

/** Real time between the end of a stream and the RST that follows it. */
const untilResetMs = 20

const resetAfterEnd: WireHarm['strike'] = (proxy, where: Reach) => {
  const offs = [proxy.add({ kind: 'halfClose' }, where)]
  const cancel = systemClock.after(untilResetMs, () => void offs.push(proxy.add({ kind: 'reset' }, where)))
  return () => {
    cancel()
    for (const off of offs) off()
  }
}

export const wireHarms: readonly WireHarm[] = [
  { name: 'latency', breaks: false, strike: at({ kind: 'delay', ms: 20 }) },
  { name: 'jitter', breaks: false, strike: at({ kind: 'delay', ms: 10, jitterMs: 10 }) },
  { name: 'a thin line', breaks: false, strike: at({ kind: 'bandwidth', bytesPerSecond: 50_000 }) },
  { name: 'pieces of one byte', breaks: false, strike: at({ kind: 'slice', bytes: 1 }) },
  { name: 'a slow close', breaks: false, strike: at({ kind: 'slowClose', ms: 100 }) },
  {
    name: 'connections doubled',
    breaks: false,
    strike: (proxy, { direction }) => proxy.double(direction === 'upstream' ? 'everything' : 'nothing'),
  },
  { name: 'a black hole', breaks: true, strike: at({ kind: 'drop' }) },
  { name: 'a stall after some bytes', breaks: true, strike: once({ kind: 'stall' }) },
  { name: 'a cut after some bytes', breaks: true, strike: once({ kind: 'cut' }) },
  { name: 'a reset', breaks: true, strike: at({ kind: 'reset' }) },
  { name: 'a half-close', breaks: true, strike: at({ kind: 'halfClose' }) },
  { name: 'a reset after an end', breaks: true, strike: resetAfterEnd },
]
