import { createHash, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import { type ErrorCode, ReflashError } from '../../src/core/errors.ts'
import type { Connector, Session, Target } from '../../src/ports/connector.ts'
import { createCountedClock } from '../support/counted-clock.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { requires } from '../support/requires.ts'
import { dropbearPrograms, type RunningServer, startDropbear } from '../support/ssh-servers.ts'
import { targetOf } from '../support/ssh-target.ts'
import type { Direction, Reach, Toxic } from '../support/toxics.ts'
import { until } from '../support/until.ts'

const never = new AbortController().signal
/** For what is to run into its deadline. */
const shortMs = 200
const longMs = 20_000
/** What a busy machine may take longer. */
const slackMs = 3000

/** Slow enough to show who waits for a goodbye, which may take a second. */
const unhurriedBy = 20
const unhurried = createSshConnector({ clock: createFastClock(1 / unhurriedBy) })

type Outcome = 'ok' | ErrorCode
type Harm = (proxy: FaultProxy, reach: Reach) => Promise<void>

const toxic =
  (...toxics: Toxic[]): Harm =>
  async (proxy, reach) =>
    toxics.forEach((each) => proxy.add(each, reach))

const image = randomBytes(60_000)
const digest = createHash('sha256').update(image).digest('hex')
const content = async function* () {
  for (let start = 0; start < image.length; start += 7000) yield image.subarray(start, start + 7000)
}

/** What is on when the harm comes, and after how many more bytes it does. */
const phases = {
  /** No byte passes. */
  connect: { upstream: 0, downstream: 0 },
  /** In the middle of the key exchange. */
  login: { upstream: 1000, downstream: 1000 },
  exec: { upstream: 0, downstream: 0 },
  /** When some of it has arrived, and the device has begun to say so. */
  upload: { upstream: 30_000, downstream: 150 },
} as const
type Phase = keyof typeof phases

interface Row {
  name: string
  harm: Harm
  /** What becomes of each phase, with harm to what goes up, and to what comes down. */
  outcomes: Record<Phase, readonly [upstream: Outcome, downstream: Outcome]>
}

const allOk: Row['outcomes'] = {
  connect: ['ok', 'ok'],
  login: ['ok', 'ok'],
  exec: ['ok', 'ok'],
  upload: ['ok', 'ok'],
}
const silent: Row['outcomes'] = {
  connect: ['Timeout', 'Timeout'],
  login: ['Timeout', 'Timeout'],
  exec: ['Timeout', 'Timeout'],
  upload: ['Timeout', 'Timeout'],
}
const broken: Row['outcomes'] = {
  connect: ['Unreachable', 'Unreachable'],
  login: ['ConnectionLost', 'ConnectionLost'],
  exec: ['ConnectionLost', 'ConnectionLost'],
  upload: ['ConnectionLost', 'ConnectionLost'],
}

const rows: readonly Row[] = [
  { name: 'a silent stall', harm: toxic({ kind: 'stall' }), outcomes: silent },
  { name: 'a one-way partition', harm: toxic({ kind: 'drop' }), outcomes: silent },
  {
    name: 'a half-close',
    harm: toxic({ kind: 'halfClose' }),
    // The device says what it can do before it sees the end.
    outcomes: { ...broken, connect: ['ConnectionLost', 'Unreachable'] },
  },
  {
    name: 'a reset',
    harm: toxic({ kind: 'reset' }),
    // One that the device alone gets is silence to us.
    outcomes: {
      connect: ['Timeout', 'Unreachable'],
      login: ['Timeout', 'ConnectionLost'],
      exec: ['Timeout', 'ConnectionLost'],
      upload: ['Timeout', 'ConnectionLost'],
    },
  },
  { name: 'a cut', harm: toxic({ kind: 'cut' }), outcomes: broken },
  { name: 'pieces of one byte', harm: toxic({ kind: 'slice', bytes: 1 }), outcomes: allOk },
  { name: 'latency', harm: toxic({ kind: 'delay', ms: 30 }), outcomes: allOk },
  { name: 'jitter', harm: toxic({ kind: 'delay', ms: 15, jitterMs: 15 }), outcomes: allOk },
  { name: 'a thin line', harm: toxic({ kind: 'bandwidth', bytesPerSecond: 150_000 }), outcomes: allOk },
  { name: 'a slow close', harm: toxic({ kind: 'slowClose', ms: 200 }), outcomes: allOk },
]

interface Case {
  harm: Harm
  phase: Phase
  direction: Direction
  outcome: Outcome
}
const casesOf = (some: readonly Row[], at: readonly Phase[]): (Case & { name: string })[] =>
  some.flatMap(({ name, harm, outcomes }) =>
    at.flatMap((phase) =>
      (['upstream', 'downstream'] as const).map((direction, index) => {
        return { name, harm, phase, direction, outcome: outcomes[phase][index]! }
      }),
    ),
  )

/** What happens to new connections has no direction, and does nothing to one that is up. */
const doors: readonly { name: string; harm: Harm; connect: Outcome; knock: boolean }[] = [
  { name: 'a closed port', harm: (proxy) => proxy.refuse(), connect: 'Unreachable', knock: false },
  { name: 'a black hole', harm: (proxy) => proxy.blackhole(), connect: 'Timeout', knock: true },
]

const resources = (kind: string) =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith(kind)).length

/** How it ended, with the error's code; fails when that took too long. */
const outcomeOf = async (limitMs: number, act: () => Promise<unknown>): Promise<Outcome> => {
  const startMs = performance.now()
  try {
    await act()
    return 'ok'
  } catch (error) {
    return (error as { code: ErrorCode }).code
  } finally {
    expect(performance.now() - startMs).toBeLessThan(limitMs + slackMs)
  }
}

const run = async (session: Session, phase: Phase, limitMs: number, signal = never): Promise<void> => {
  if (phase !== 'upload') {
    const { stdout } = await session.exec(['echo', 'x'], { deadlineMs: limitMs }, signal)
    expect(stdout).toBe('x\n')
    return
  }
  const limits = { deadlineMs: longMs, idleMs: limitMs, sizeBytes: image.length }
  const { stdout } = await session.upload(['sh', '-c', 'cat | sha256sum'], content(), limits, signal)
  expect(stdout).toContain(digest)
}

requires(...dropbearPrograms)('between us and dropbear,', () => {
  let server: RunningServer
  let proxy: FaultProxy
  let clock: ReturnType<typeof createCountedClock>
  let connector: Connector
  let before: { sockets: number; timers: number }

  beforeAll(async () => {
    server = await startDropbear()
  })
  afterAll(() => server.kill())
  beforeEach(async () => {
    before = { sockets: resources('TCPSocket'), timers: resources('Timeout') }
    proxy = await startFaultProxy({ port: server.port })
    clock = createCountedClock()
    connector = createSshConnector({ clock })
  })
  afterEach(async () => {
    expect(clock.pending()).toBe(0)
    await proxy.close()
    await until('sockets and timers are gone', () => {
      return resources('TCPSocket') <= before.sockets && resources('Timeout') <= before.timers
    })
  })

  const target = (more?: Partial<Target>) => targetOf(proxy.port, { hostKeys: server.hostKeys, ...more })
  /** We have closed our side, and not the proxy; after an RST there is nothing to close. */
  const letGo = () =>
    until('we have let go', () =>
      proxy.connections.every(({ upstream, downstream }) => upstream.ended || downstream.told === 'reset'),
    )

  /** Goes through it, to the end of the session; the target is the proxy unless the test says otherwise. */
  const endure = async ({ harm, phase, direction, outcome }: Case, more?: Partial<Target>) => {
    const limitMs = outcome === 'Timeout' ? shortMs : longMs
    const reach: Reach = { direction, afterBytes: phases[phase][direction] }
    const isConnecting = phase === 'connect' || phase === 'login'
    let session: Session | undefined
    if (isConnecting) await harm(proxy, reach)
    const connected = await outcomeOf(limitMs, async () => {
      session = await connector.connect(target(more), isConnecting ? limitMs : longMs, never)
    })
    if (!isConnecting) await harm(proxy, reach)
    const used = session && (await outcomeOf(limitMs, () => run(session!, phase, limitMs)))
    expect([connected, used].filter((each) => each !== undefined)).toEqual(
      isConnecting && outcome !== 'ok' ? [outcome] : ['ok', outcome],
    )
    expect(await outcomeOf(1000, async () => session?.close())).toBe('ok')
    await letGo()
  }

  test.each(casesOf(rows, Object.keys(phases) as Phase[]))(
    '$name $direction at $phase: $outcome',
    async (each) => endure(each),
  )

  test.each(doors)('$name at connect: $connect', async ({ harm, connect, knock }) => {
    await harm(proxy, {})
    const limitMs = connect === 'Timeout' ? shortMs : longMs
    expect(await outcomeOf(limitMs, () => connector.connect(target(), limitMs, never))).toBe(connect)
    expect(await connector.knock(target(), longMs, never)).toBe(knock)
    await letGo()
  })

  const later = doors.flatMap((door) => (['exec', 'upload'] as const).map((phase) => ({ ...door, phase })))
  test.each(later)('$name at $phase: ok', async ({ harm, phase }) => {
    await endure({ harm, phase, direction: 'upstream', outcome: 'ok' })
  })

  test.each(['exec', 'upload'] as const)('an end and then a reset at %s: ConnectionLost', async (phase) => {
    const session = await connector.connect(target(), longMs, never)
    const outcome = outcomeOf(longMs, () => run(session, phase, longMs))
    proxy.add({ kind: 'halfClose' })
    proxy.add({ kind: 'reset' })
    expect(await outcome).toBe('ConnectionLost')
    await session.close()
  })

  test.each(Object.keys(phases) as Phase[])(
    'an abort in a silent stall at %s ends at once',
    async (phase) => {
      const abort = new AbortController()
      const reason = new Error('enough')
      const isConnecting = phase === 'connect' || phase === 'login'
      const session = isConnecting ? undefined : await connector.connect(target(), longMs, never)
      proxy.add({ kind: 'stall' }, { direction: 'upstream', afterBytes: phases[phase].upstream })
      const acting = session
        ? run(session, phase, longMs, abort.signal)
        : connector.connect(target(), longMs, abort.signal)
      const refused = expect(acting).rejects.toBe(reason)
      await until('something is held back', () => {
        const upstream = proxy.connections[0]?.upstream
        return upstream && upstream.receivedBytes > upstream.forwardedBytes
      })
      abort.abort(reason)
      expect(await outcomeOf(0, () => refused)).toBe('ok')
      await letGo()
      await session?.close()
    },
  )

  test('an abort while host keys are being read ends at once', async () => {
    const abort = new AbortController()
    const connecting = unhurried.connect(target({ hostKeys: [] }), longMs, abort.signal)
    const outcome = outcomeOf(longMs, () => connecting)
    await until('the first key is asked for', () => proxy.connections.length === 1)
    proxy.add({ kind: 'stall' }, { only: 'new' })
    await until('the second key is asked for', () => proxy.connections.length === 2)
    proxy.add({ kind: 'stall' })
    const abortMs = performance.now()
    abort.abort(new ReflashError('Busy', 'enough'))
    expect(await outcome).toBe('Busy')
    expect(performance.now() - abortMs).toBeLessThan(slackMs)
    await letGo()
  })

  const jumpHost = () => {
    const { credentials, hostKeys } = target()
    return { address: '127.0.0.1', port: proxy.port, credentials, hostKeys }
  }
  const harsh = rows.filter(({ name }) => ['a silent stall', 'a reset', 'a cut'].includes(name))
  const atJump = casesOf(harsh, ['connect', 'exec'])
  // The one dropbear is both: it forwards to itself.
  test.each(atJump)('$name $direction before the jump host at $phase: $outcome', async (each) =>
    endure(each, { port: server.port, jumpHost: jumpHost() }),
  )
  test.each(atJump)('$name $direction behind the jump host at $phase: $outcome', async (each) =>
    endure(each, { jumpHost: { ...jumpHost(), port: server.port } }),
  )

  test.each(['deadline', 'abort'] as const)(
    'a jump host gone silent: an end by %s is one at once',
    async (by) => {
      const behind = await startFaultProxy({ port: server.port })
      behind.add({ kind: 'stall' }, { direction: 'downstream' })
      const abort = new AbortController()
      const limitMs = by === 'deadline' ? 2000 : 10 * longMs
      const through = target({ port: behind.port, jumpHost: jumpHost() })
      const connecting = unhurried.connect(through, limitMs / unhurriedBy, abort.signal)
      const outcome = outcomeOf(limitMs, () => connecting)
      await until('the device has heard of us', () => behind.connections[0]?.upstream.receivedBytes)
      proxy.add({ kind: 'stall' })
      const startMs = performance.now()
      if (by === 'abort') abort.abort(new ReflashError('Busy', 'enough'))
      expect(await outcome).toBe(by === 'abort' ? 'Busy' : 'Timeout')
      expect(performance.now() - startMs).toBeLessThan(slackMs + (by === 'abort' ? 0 : limitMs))
      await letGo()
      await behind.close()
    },
  )
})
