import type { Duplex } from 'node:stream'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Target } from '../../ports/connector.ts'
import { ourOffer } from './algorithms.ts'
import { authenticationFor } from './authentication.ts'
import { guarded } from './guarded.ts'
import { hostKeyType, parseHostKeyLine } from './host-key.ts'
import { type Link, openLink } from './link.ts'
import { endpoint, openTcp, type TcpOptions } from './tcp.ts'

/** How streams to a device are opened: straight, or through the connection to a jump host. */
export interface Route {
  open: (options: TcpOptions) => Promise<Duplex>
  close: () => Promise<void>
  /** Ends it without a goodbye, for which there may be no time. */
  destroy: () => void
}

export const directRoute: Route = { open: openTcp, close: async () => {}, destroy: () => {} }

/** RFC 4254 section 5.1. */
const administrativelyProhibited = 1

const notForwarded = (jump: string, where: string, cause: Error): ReflashError => {
  const said = printable(messageOf(cause), 200)
  return 'reason' in cause && cause.reason === administrativelyProhibited
    ? new ReflashError(
        'Unsupported',
        `the jump host ${jump} does not allow forwarding to ${where} (${said})`,
        { cause },
      )
    : new ReflashError('Unreachable', `the jump host ${jump} cannot reach ${where} (${said})`, { cause })
}

const openForward = (link: Link, { address, port, limitMs, clock, signal }: TcpOptions): Promise<Duplex> => {
  const where = endpoint(address, port)
  const late = () =>
    new ReflashError(
      'Unreachable',
      `${where} does not answer the jump host ${link.where} within ${Math.round(limitMs / 1000)} s`,
      {
        cause: new Error('no answer to the forwarded connection'),
      },
    )
  return guarded({ clock, limitMs, signal, late }, (resolve, reject) => {
    let over = false
    const takeOffLost = link.onLost(reject)
    const lost = link.lost()
    if (lost) reject(lost)
    else {
      link.client.forwardOut('127.0.0.1', 0, address, port, (error, channel) => {
        if (error) return reject(link.lost() ?? notForwarded(link.where, where, error))
        channel.on('error', () => {})
        if (over) channel.destroy()
        else resolve(channel)
      })
    }
    return () => {
      over = true
      takeOffLost()
    }
  })
}

const inFrontOf = (error: unknown): unknown =>
  error instanceof ReflashError
    ? new ReflashError(error.code, `jump host: ${error.message}`, { cause: error.cause })
    : error

/** Connects to the jump host, whose key has to be pinned. @throws as `Connector.connect`, about the jump host. */
export const openJumpRoute = async (
  jump: NonNullable<Target['jumpHost']>,
  limits: { limitMs: number; clock: Clock; signal: AbortSignal },
): Promise<Route> => {
  const { address, port } = jump
  const { clock } = limits
  const startMs = clock.monotonic()
  try {
    const authentication = authenticationFor(jump.credentials)
    const pins = jump.hostKeys.map(parseHostKeyLine)
    const offer = ourOffer({ legacy: false, strict: false, pinnedTypes: pins.map(hostKeyType) })
    const stream = await openTcp({ address, port, ...limits })
    const link = await openLink({
      ...limits,
      limitMs: limits.limitMs - (clock.monotonic() - startMs),
      stream,
      where: endpoint(address, port),
      offer,
      policy: { pins, acceptNew: false },
      authentication,
    })
    return {
      open: (options) => openForward(link, options),
      close: link.close,
      destroy: () => link.destroy(),
    }
  } catch (error) {
    throw inFrontOf(error)
  }
}
