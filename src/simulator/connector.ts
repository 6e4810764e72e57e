import ssh2 from 'ssh2'
import { hasCode, ReflashError, type ErrorCode } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Connector, Credentials, Target } from '../ports/connector.ts'
import type { HostKey } from './host-key.ts'
import type { Link, Login, Router } from './router.ts'
import { createSession } from './session.ts'

/** Where routers are: whoever answers at an address and port right now, if anybody does. */
export type Network = (address: string, port: number) => Router | undefined

/** What was found out about the device matters more than that some address did not answer. */
const byWeight: readonly ErrorCode[] = [
  'HostKeyChanged',
  'HostKeyUnknown',
  'AuthFailed',
  'AlgorithmMismatch',
  'ConnectionLost',
  'Timeout',
  'Unreachable',
]

const worstOf = (findings: readonly unknown[]): unknown =>
  byWeight.map((code) => findings.find((finding) => hasCode(finding, code))).find(Boolean) ??
  findings[0] ??
  new ReflashError('Unreachable', 'the device has no address')

/** Type and key of an OpenSSH public-key line, without its comment. */
const keyOf = (line: string): string => line.split(' ', 2).join(' ')

const publicKeyOf = ({ privateKey, passphrase }: Credentials): string => {
  const parsed = ssh2.utils.parseKey(privateKey ?? '', passphrase)
  if (parsed instanceof Error)
    throw new ReflashError('CredentialsInvalid', 'the private key cannot be read', { cause: parsed })
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  if (key === undefined || !key.isPrivateKey())
    throw new ReflashError('CredentialsInvalid', 'the key is no private key')
  return `${key.type} ${key.getPublicSSH().toString('base64')}`
}

/** The key that a client which prefers pinned types would be shown. */
const checkHostKey = (target: Target, offered: readonly HostKey[]): readonly string[] => {
  const lines = offered.map(({ line }) => line)
  if (target.hostKeys.length === 0) {
    if (target.acceptNewHostKeys) return lines
    throw new ReflashError('HostKeyUnknown', `no host key is pinned; the device shows ${lines.join(' | ')}`)
  }
  const pins = target.hostKeys.map(keyOf)
  const pinnedTypes = new Set(pins.map((pin) => pin.split(' ')[0]))
  const shown = offered.find(({ type }) => pinnedTypes.has(type)) ?? offered[0]
  if (shown !== undefined && pins.includes(shown.line)) return [shown.line]
  throw new ReflashError(
    'HostKeyChanged',
    `the device shows another host key than the pinned one: ${shown?.line}`,
  )
}

/**
 * Sessions on simulated routers, with no input or output at all: as `ports/connector.ts` says, in the time of the clock.
 */
export const createSimulatedConnector = (clock: Clock, network: Network): Connector => {
  const publicKeys = new Map<string, string>()

  const loginOf = (credentials: Credentials): Login => {
    const { username, password, privateKey, passphrase } = credentials
    if (privateKey === undefined) {
      if (password !== undefined) return { username, password }
      throw new ReflashError(
        'CredentialsInvalid',
        'the credentials have neither a password nor a private key',
      )
    }
    const id = `${passphrase ?? ''}\0${privateKey}`
    const publicKey = publicKeys.get(id) ?? publicKeyOf(credentials)
    publicKeys.set(id, publicKey)
    return { username, publicKey }
  }

  /** Waits as a TCP connection would for whoever is at the address, or says why there is none. */
  const reach = async (
    at: { address: string; port: number },
    limitMs: number,
    signal: AbortSignal,
  ): Promise<Router | string> => {
    const router = network(at.address, at.port)
    const answer = router?.answer() ?? 'Refuses'
    const roundTripMs = (router?.timings.connectMs ?? 0) / 4
    await clock.sleep(answer === 'Silent' ? limitMs : Math.min(limitMs, roundTripMs), signal)
    if (router !== undefined && answer === 'Accepts' && roundTripMs <= limitMs) return router
    return answer === 'Silent' ? 'does not answer' : 'refuses the connection'
  }

  const attempt = async (target: Target, address: string, limit: { ms: number; signal: AbortSignal }) => {
    const at = { address, port: target.port }
    const startedMs = clock.monotonic()
    const router = await reach(at, limit.ms, limit.signal)
    if (typeof router === 'string')
      throw new ReflashError('Unreachable', `${address} port ${target.port} ${router}`)
    const greeting = router.greet()
    const handshakeMs = (router.timings.connectMs * 3) / 4 + greeting.delayMs
    const leftMs = limit.ms - (clock.monotonic() - startedMs)
    await clock.sleep(Math.min(handshakeMs, leftMs), limit.signal)
    if (handshakeMs > leftMs)
      throw new ReflashError('Timeout', `${address} port ${at.port} took too long to let us in`)
    if (router.answer() !== 'Accepts')
      throw new ReflashError('ConnectionLost', `${address} port ${at.port} closed the connection`)
    if (greeting.legacyOnly && !target.legacyAlgorithms)
      throw new ReflashError('AlgorithmMismatch', `${address} needs legacyAlgorithms: true`)
    const hostKeys = checkHostKey(target, greeting.hostKeys)
    if (!router.authenticate(loginOf(target.credentials)))
      throw new ReflashError('AuthFailed', `${address} refuses ${target.credentials.username}`)
    return { address, hostKeys, link: router.open() }
  }

  type Opened = { address: string; hostKeys: readonly string[]; link: Link }

  const open = async (target: Target, deadlineMs: number, signal: AbortSignal): Promise<Opened> => {
    loginOf(target.credentials)
    const endsAtMs = clock.monotonic() + deadlineMs
    const findings: unknown[] = []
    for (const [at, address] of target.addresses.entries()) {
      const ms = (endsAtMs - clock.monotonic()) / (target.addresses.length - at)
      try {
        return await attempt(target, address, { ms, signal })
      } catch (error) {
        signal.throwIfAborted()
        findings.push(error)
      }
    }
    throw worstOf(findings)
  }

  /** The jump host first; a session ends when either connection does. */
  const openThrough = async (target: Target, deadlineMs: number, signal: AbortSignal): Promise<Opened> => {
    const { jumpHost } = target
    if (jumpHost === undefined) return open(target, deadlineMs, signal)
    const { address, ...rest } = jumpHost
    const startedMs = clock.monotonic()
    const jump: Target = {
      ...rest,
      addresses: [address],
      acceptNewHostKeys: false,
      legacyAlgorithms: false,
      urgent: false,
    }
    const first = await open(jump, deadlineMs, signal)
    try {
      const second = await open(target, deadlineMs - (clock.monotonic() - startedMs), signal)
      first.link.onEnd(() => second.link.close())
      second.link.onEnd(() => first.link.close())
      return second
    } catch (error) {
      first.link.close()
      throw error
    }
  }

  return {
    connect: async (target, deadlineMs, signal) => {
      signal.throwIfAborted()
      return createSession(clock, await openThrough(target, deadlineMs, signal))
    },
    knock: async ({ addresses, port, jumpHost }, limitMs, signal) => {
      signal.throwIfAborted()
      if (jumpHost !== undefined) return undefined
      return new Promise<boolean>((resolve, reject) => {
        const attempts = addresses.map(async (address) => {
          if (typeof (await reach({ address, port }, limitMs, signal)) !== 'string') resolve(true)
        })
        Promise.all(attempts).then(() => resolve(false), reject)
      })
    },
  }
}
