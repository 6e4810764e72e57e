import { type ErrorCode, ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Connector, Session, Target } from '../../ports/connector.ts'
import { keyTypeOf, ourOffer } from './algorithms.ts'
import { authenticationFor } from './authentication.ts'
import { guarded } from './guarded.ts'
import { type HostKey, hostKeyLine, hostKeyType, parseHostKeyLine } from './host-key.ts'
import { type Link, openLink } from './link.ts'
import { createPace, type Pace } from './pace.ts'
import { directRoute, openJumpRoute, type Route } from './route.ts'
import { createSession } from './session.ts'
import { answersTcp, endpoint } from './tcp.ts'

/** From worst to mildest: what an operator has to hear first when every address failed. */
const severity: readonly ErrorCode[] = [
  'HostKeyChanged',
  'HostKeyUnknown',
  'AuthFailed',
  'AlgorithmMismatch',
  'Unsupported',
  'ConnectionLost',
  'Timeout',
  'Unreachable',
]

/** About what one costs of a core. */
const handshakeMs = 5

interface Attempt {
  target: Target
  pins: readonly HostKey[]
  route: Route
  address: string
  endsMs: number
  strictPeers: Set<string>
  turn: Pace
  clock: Clock
  signal: AbortSignal
}

/** Waits for its turn to begin a handshake: that is part of its time too. */
const takeTurn = ({ target, address, turn, clock, signal }: Attempt, limitMs: number): Promise<void> => {
  const where = endpoint(address, target.port)
  const late = () =>
    new ReflashError(
      'Timeout',
      `${where} was not tried within ${Math.round(limitMs / 1000)} s: too many connections are being opened at once`,
      { cause: new Error('no turn') },
    )
  return guarded({ clock, limitMs, signal, late }, (resolve, reject) => {
    const over = new AbortController()
    turn({ urgent: target.urgent, signal: over.signal }).then(resolve, reject)
    return () => over.abort()
  })
}

const dial = async (attempt: Attempt, onlyHostKeyType?: string): Promise<Link> => {
  const { target, pins, route, address, endsMs, strictPeers, clock, signal } = attempt
  const { port } = target
  const limitMs = () => Math.max(0, endsMs - clock.monotonic())
  await takeTurn(attempt, limitMs())
  const stream = await route.open({ address, port, limitMs: limitMs(), clock, signal })
  const lines = pins.map(hostKeyLine)
  const strict = lines.some((line) => strictPeers.has(line))
  // Forgotten until it is seen again: an attempt that fails falls back to what suits every device.
  for (const line of lines) strictPeers.delete(line)
  const offer = ourOffer({ legacy: target.legacyAlgorithms, strict, pinnedTypes: pins.map(hostKeyType) })
  const serverHostKey = offer.serverHostKey.filter(
    (algorithm) => onlyHostKeyType === undefined || keyTypeOf(algorithm) === onlyHostKeyType,
  )
  const link = await openLink({
    stream,
    where: endpoint(address, port),
    offer: { ...offer, serverHostKey },
    policy: { pins, acceptNew: target.acceptNewHostKeys },
    ...(onlyHostKeyType === undefined && { authentication: authenticationFor(target.credentials) }),
    limitMs: limitMs(),
    clock,
    signal,
  })
  if (link.strict) strictPeers.add(hostKeyLine(link.hostKey))
  return link
}

/**
 * The keys of the other algorithms that the device offers, each by a handshake that stops before authentication; one
 * after another, because dropbear serves few unauthenticated connections of one address.
 */
const readOtherHostKeys = async (attempt: Attempt, link: Link): Promise<HostKey[]> => {
  const { legacyAlgorithms } = attempt.target
  const ours = ourOffer({ legacy: legacyAlgorithms, strict: false, pinnedTypes: [] }).serverHostKey
  const types = new Set(link.offered.filter((algorithm) => ours.includes(algorithm)).map(keyTypeOf))
  types.delete(hostKeyType(link.hostKey))
  const keys: HostKey[] = []
  for (const type of types) {
    try {
      keys.push((await dial(attempt, type)).hostKey)
    } catch {
      // Without this pin the device is still known by the others: a pinned type is asked for first.
      attempt.signal.throwIfAborted()
    }
  }
  return keys
}

const openSession = async (attempt: Attempt): Promise<Session> => {
  const { pins, route, address, clock } = attempt
  const link = await dial(attempt)
  try {
    const others = pins.length > 0 ? [] : await readOtherHostKeys(attempt, link)
    const hostKeys = [link.hostKey, ...others].map(hostKeyLine)
    return createSession({ link, clock, address, hostKeys, closeRoute: route.close })
  } catch (error) {
    link.destroy()
    throw error
  }
}

/** One error for all addresses: the worst, with what the others said. */
const summarize = (errors: readonly ReflashError[]): ReflashError => {
  const sorted = errors.toSorted((a, b) => severity.indexOf(a.code) - severity.indexOf(b.code))
  const [worst] = sorted
  if (!worst)
    return new ReflashError('Unreachable', 'the device has no address', { cause: new Error('no address') })
  if (sorted.length === 1) return worst
  return new ReflashError(worst.code, sorted.map((error) => error.message).join('; '), { cause: worst.cause })
}

const tryAddresses = async (attempt: Omit<Attempt, 'address'>): Promise<Session> => {
  const { target, clock, endsMs, signal } = attempt
  const errors: ReflashError[] = []
  for (const [index, address] of target.addresses.entries()) {
    // A fair share: an address that answers nothing leaves the others their time.
    const shareMs = Math.max(0, endsMs - clock.monotonic()) / (target.addresses.length - index)
    try {
      return await openSession({ ...attempt, address, endsMs: clock.monotonic() + shareMs })
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ReflashError)) throw error
      errors.push(error)
    }
  }
  throw summarize(errors)
}

type Connecting = Pick<Attempt, 'target' | 'strictPeers' | 'turn' | 'clock' | 'signal'> & {
  deadlineMs: number
}

const connect = async ({ deadlineMs, ...connecting }: Connecting): Promise<Session> => {
  const { target, clock, signal } = connecting
  signal.throwIfAborted()
  const endsMs = clock.monotonic() + deadlineMs
  // What is wrong with our own side is said before anything goes over the wire.
  authenticationFor(target.credentials)
  const pins = target.hostKeys.map(parseHostKeyLine)
  const route = target.jumpHost
    ? await openJumpRoute(target.jumpHost, { limitMs: deadlineMs, clock, signal })
    : directRoute
  try {
    return await tryAddresses({ ...connecting, pins, route, endsMs })
  } catch (error) {
    route.destroy()
    throw error
  }
}

type Knocked = Parameters<Connector['knock']>[0]

const knock = async (
  clock: Clock,
  target: Knocked,
  limitMs: number,
  signal: AbortSignal,
): Promise<boolean | undefined> => {
  signal.throwIfAborted()
  if (target.jumpHost) return undefined
  const first = new AbortController()
  const either = AbortSignal.any([signal, first.signal])
  const answers = await Promise.all(
    target.addresses.map(async (address) => {
      const isThere = await answersTcp({ address, port: target.port, limitMs, clock, signal: either })
      if (isThere) first.abort()
      return isThere
    }),
  )
  signal.throwIfAborted()
  return answers.includes(true)
}

/** Sessions over SSH, for devices such as OpenWrt's dropbear. Between two connections it only remembers who is strict. */
export const createSshConnector = ({ clock }: { clock: Clock }): Connector => {
  /** Host key lines of devices that did strict key exchange when last seen. */
  const strictPeers = new Set<string>()
  const turn = createPace(handshakeMs, clock)
  return {
    connect: (target, deadlineMs, signal) =>
      connect({ clock, strictPeers, turn, target, deadlineMs, signal }),
    knock: (target, limitMs, signal) => knock(clock, target, limitMs, signal),
  }
}
