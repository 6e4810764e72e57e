import type { Socket } from 'node:net'
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { createFlow, type Flow, type FlowRecord } from './flow.ts'
import { resetSocket } from './reset-socket.ts'
import type { Direction } from './toxics.ts'

/** One connection of a client. Times are in ms of the monotonic clock. */
export interface ProxiedConnection {
  readonly openedMs: number
  /** When nothing was left of it, on either side. */
  readonly closedMs: number | undefined
  readonly upstream: FlowRecord
  readonly downstream: FlowRecord
}

export interface JoinedSockets {
  readonly record: ProxiedConnection
  readonly flows: Readonly<Record<Direction, Flow>>
  /** Resolves when both sockets are closed. */
  readonly closed: Promise<void>
  reset(): void
}

export interface JoinOptions {
  client: Socket
  target: Socket
  clock: Clock
  random: SeededRandom
}

const closeOf = (socket: Socket): Promise<void> => {
  // An error is followed by the close, which the flows pass on.
  socket.on('error', () => {})
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

/** Lets two sockets talk to each other, which both are half-open ones. */
export const joinSockets = ({ client, target, clock, random }: JoinOptions): JoinedSockets => {
  const flow = (direction: Direction, source: Socket, sink: Socket): Flow => {
    const onStruck = (toxic: 'reset' | 'cut') => {
      const other = flows[direction === 'upstream' ? 'downstream' : 'upstream']
      if (toxic === 'reset') other.silence()
      else other.finish('fin')
    }
    return createFlow({ source, sink, clock, random: random.fork(direction), onStruck })
  }
  const sockets = [client, target]
  for (const socket of sockets) socket.setNoDelay()
  const closes = sockets.map(closeOf)
  const flows = {
    upstream: flow('upstream', client, target),
    downstream: flow('downstream', target, client),
  }
  const record = {
    openedMs: clock.monotonic(),
    closedMs: undefined as number | undefined,
    upstream: flows.upstream.record,
    downstream: flows.downstream.record,
  }
  const closed = Promise.all(closes).then(() => void (record.closedMs = clock.monotonic()))
  return {
    record,
    flows,
    closed,
    reset: () => {
      for (const socket of sockets) resetSocket(socket)
    },
  }
}
