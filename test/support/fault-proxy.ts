import { connect, Socket } from 'node:net'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { openListener } from './listener.ts'
import { joinSockets, type JoinedSockets, type ProxiedConnection } from './proxied-connection.ts'
import type { Direction, Reach, Toxic } from './toxics.ts'

/**
 * A TCP proxy on the loopback, in front of a router or an API server, that does harm on demand:
 *
 *     const proxy = await startFaultProxy({ port: router.port })
 *     const off = proxy.add({ kind: 'stall' }, { direction: 'upstream', afterBytes: 1000 })
 *     ... the client talks to 127.0.0.1:proxy.port ...
 *     off()
 *     await proxy.close()
 */
export interface FaultProxy {
  readonly port: number
  /** All so far, in the order in which they came. What is refused is not seen: count attempts by `blackhole`. */
  readonly connections: readonly ProxiedConnection[]
  /** Switches a toxic on; the returned function switches it off. */
  add(toxic: Toxic, reach?: Reach): () => void
  /** Switches all of them off. */
  clear(): void
  /** From now on new connections are refused. Living ones go on, here as with the next two. */
  refuse(): Promise<void>
  /** From now on new connections are accepted, and nothing else happens to them, for good: the target hears of none. */
  blackhole(): Promise<void>
  /**
   * From now on each new connection reaches the target twice, until the returned function is called. The second one is
   * heard by nobody; the target hears on it what the client says, or nothing.
   */
  double(tells: 'everything' | 'nothing'): () => void
  /** New connections go to the target again. */
  accept(): Promise<void>
  /** Drops everything, with an RST. */
  close(): Promise<void>
}

export interface FaultProxyOptions {
  /** Where to: a port of the loopback, or of another host. */
  port: number
  host?: string
  clock?: Clock
  /** Of the jitter. */
  seed?: number
}

interface Switched {
  toxic: Toxic
  reach: Reach
  takeOut: (() => void)[]
}

const directions: readonly Direction[] = ['upstream', 'downstream']

const put = ({ toxic, reach, takeOut }: Switched, { flows }: JoinedSockets) => {
  for (const direction of directions) {
    if (reach.direction !== undefined && reach.direction !== direction) continue
    takeOut.push(flows[direction].dose(toxic, reach.afterBytes ?? 0))
  }
}

/** Takes what the client sends, and answers nothing. */
const swallow = ({ flows }: JoinedSockets) => {
  flows.upstream.dose({ kind: 'drop' }, 0)
  flows.downstream.silence()
}

/** A second connection for a client, which goes when the client does. */
const startTwin = (client: Socket, at: { port: number; host: string }, tells: 'everything' | 'nothing') => {
  const twin = connect(at)
  twin.on('error', () => twin.destroy())
  twin.resume()
  if (tells === 'everything') client.on('data', (bytes: Buffer) => void (twin.destroyed || twin.write(bytes)))
  client.once('close', () => twin.destroy())
}

export const startFaultProxy = async (options: FaultProxyOptions): Promise<FaultProxy> => {
  const { port, host = '127.0.0.1', clock = systemClock, seed = 1 } = options
  const random = createRandom(seed)
  const connections: ProxiedConnection[] = []
  const living = new Set<JoinedSockets>()
  const switched = new Set<Switched>()
  let isBlackhole = false
  let twinHears: 'everything' | 'nothing' | undefined

  const onClient = (client: Socket) => {
    const target = isBlackhole ? new Socket() : connect({ port, host, allowHalfOpen: true })
    const joined = joinSockets({ client, target, clock, random: random.fork(`${connections.length}`) })
    connections.push(joined.record)
    living.add(joined)
    void joined.closed.then(() => living.delete(joined))
    if (isBlackhole) swallow(joined)
    else if (twinHears) startTwin(client, { port, host }, twinHears)
    for (const each of switched) if (each.reach.only !== 'living') put(each, joined)
  }

  const listener = await openListener(onClient)
  const admit = async (blackhole: boolean) => {
    isBlackhole = blackhole
    await listener.open()
  }
  return {
    port: listener.port,
    connections,
    add: (toxic, reach = {}) => {
      const each: Switched = { toxic, reach, takeOut: [] }
      switched.add(each)
      if (reach.only !== 'new') for (const joined of living) put(each, joined)
      return () => {
        switched.delete(each)
        for (const takeOut of each.takeOut.splice(0)) takeOut()
      }
    },
    clear: () => {
      for (const each of switched) for (const takeOut of each.takeOut) takeOut()
      switched.clear()
    },
    refuse: () => listener.shut(),
    blackhole: () => admit(true),
    double: (tells) => {
      twinHears = tells
      return () => void (twinHears = undefined)
    },
    accept: () => admit(false),
    close: async () => {
      listener.close()
      for (const joined of living) joined.reset()
      await Promise.all([...living].map(({ closed }) => closed))
    },
  }
}
