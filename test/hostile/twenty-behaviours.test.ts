import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { createMemoryRecords } from '../../src/adapters/memory/record-store.ts'
import { createMemoryStore } from '../../src/adapters/memory/resource-store.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { Device, Manifest, UpgradeOperation } from '../../src/api/resources.ts'
import { createControllers } from '../../src/controllers/controllers.ts'
import { declareThrough, Fleet } from '../../src/controllers/fleet.ts'
import { openGovernor } from '../../src/controllers/governor.ts'
import { createUploadGates } from '../../src/controllers/upload-gates.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { createFleet } from '../../src/simulator/fleet.ts'
import { freeAddresses } from '../../src/simulator/free-addresses.ts'
import { eventsOf } from '../../src/simulator/history.ts'
import { createMemoryImages } from '../../src/simulator/images.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { createRouter, type Router } from '../../src/simulator/router.ts'
import { serveRouter } from '../../src/simulator/ssh-server.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { recordFigure } from '../support/figures.ts'
import { statusProblems } from '../support/status-schema.ts'
import { textsIn } from '../support/texts-in.ts'
import { until } from '../support/until.ts'
import { behaviours, moreBehaviours, type Behaviour, type End } from './behaviours.ts'

/** A minute of theirs takes three seconds, and a handshake on a busy machine is still far below a minute. */
const clock = createFastClock(20)
const target = knownReleases['24.10.8']
const timings = {
  connectMs: 0,
  commandMs: 0,
  testMs: 100,
  shutdownMs: 500,
  startDiesMs: 500,
  flashMs: 5000,
  rebootMs: 5000,
}

/** Those who are not even a server of SSH. */
const doors: readonly { name: string; onSocket: (socket: Socket) => void; message: RegExp }[] = [
  { name: 'takes connections and says nothing', onSocket: () => {}, message: /does not start SSH within/ },
  {
    name: 'greets without end',
    onSocket: (socket) => void socket.write('\u001b[2J hello\r\n'.repeat(10_000)),
    message: /no SSH identification within 65536 bytes/,
  },
  {
    name: 'sends rubbish for a key exchange',
    onSocket: (socket) =>
      void socket.end(Buffer.concat([Buffer.from('SSH-2.0-\u001b[2J\r\n'), Buffer.alloc(999, 27)])),
    message: /accepts connections but does not start SSH/,
  },
]

async function serveDoor(address: { address: string; port: number }, onSocket: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onSocket(socket)
  }).listen(address.port, address.address)
  await once(server, 'listening')
  expect((server.address() as AddressInfo).port).toBe(address.port)
  return {
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

const rows = [...behaviours, ...moreBehaviours]
/** Among them, and one that comes when all the others have done their worst. */
const honest = 3

/** The production controllers over real SSH, with one router for each behaviour and a few honest ones. */
async function startWorld() {
  const count = rows.length + doors.length + honest
  const addresses = await freeAddresses(count)
  const simulated = createFleet({
    count,
    seed: 'hostile',
    clock,
    releases: [knownReleases['23.05.5']],
    timings,
    addressOf: (index) => addresses[index]!,
    policy: {
      target: {
        buildRef: { name: 'access-points-24.10.8' },
        allowDowngrade: false,
        onUnknownVersion: 'Upgrade',
      },
      limits: { maxConcurrent: 50, startsPerMinute: 10_000 },
      retry: { preFlash: 3, backoff: '5s', maxBackoff: '5s', quarantine: '24h' },
      offline: { action: 'Wait', recheck: '20s', maxRecheck: '20s', expireAfter: '0s' },
      timeouts: {
        connect: '60s',
        command: '60s',
        upload: '2m',
        flash: '40s',
        reconnectRetry: '1s',
        reboot: '1m',
        total: '10m',
      },
    },
  })
  const servers: { close(): Promise<void> }[] = []
  const routers = new Map<string, Router>()
  for (const [index, drawn] of simulated.routers.entries()) {
    const row = rows[index]
    const door = doors[index - rows.length]
    const router = row?.release ? remade(drawn, row.release) : drawn
    for (const { fault, times } of row?.faults ?? []) router.inject(fault, times)
    routers.set(router.name, router)
    const at = addresses[index]!
    servers.push(
      door
        ? await serveDoor(at, door.onSocket)
        : await serveRouter(row?.disguise?.(router) ?? router, { ...at, manners: row?.manners ?? {} }),
    )
  }
  const controllers = await startControllers(simulated)
  onTestFinished(async () => {
    await controllers.stop()
    await Promise.all(servers.map((server) => server.close()))
  })
  return { ...controllers, simulated, routers, names: simulated.routers.map(({ name }) => name) }
}

/** The same router with another release. */
const remade = ({ name, state: { board, model } }: Router, release: Router['state']['release']): Router =>
  createRouter({ name, clock, random: createRandom(name), release, board, model, timings })

async function startControllers(simulated: ReturnType<typeof createFleet>) {
  const events: FleetEvent[] = []
  const store = createMemoryStore({ clock })
  const records = createMemoryRecords()
  const fleet = new Fleet(clock)
  const stop = new AbortController()
  const governor = await openGovernor({
    settings: { maxInFlight: 50, maxStartsPerMinute: 10_000, maxLostPerDay: 100 },
    records,
    brake: { halted: async () => undefined },
    clock,
  })
  const controllers = createControllers(
    {
      store: declareThrough(store, fleet),
      fleet,
      records,
      secrets: { read: async () => simulated.secret },
      connector: createSshConnector({ clock }),
      upgraders: new Map([['openwrt', openwrtUpgrader]]),
      images: createMemoryImages(simulated.files),
      events: { emit: (event) => void events.push(event) },
      clock,
      random: createRandom('hostile'),
      governor,
      uploads: createUploadGates(clock),
      settings: { probeIntervalMs: 60_000 },
    },
    { devices: 8, operations: 50, images: 1 },
  )
  const running = controllers.run(stop.signal)
  await controllers.ready
  return {
    store,
    events,
    stop: async () => {
      stop.abort()
      await running
    },
  }
}

/** Why it has not ended as it should yet; undefined when it has. */
function missing(end: End, device: Device, operation: UpgradeOperation | undefined): string | undefined {
  if ('condition' in end) {
    const found = device.status.conditions?.find(({ type }) => type === end.condition)
    return found?.reason === end.reason && end.message.test(found.message)
      ? undefined
      : `has ${found?.message}`
  }
  const { phase, failureClass, message = '', attempts = 0, times = {} } = operation?.status ?? {}
  const isRight =
    phase === end.phase &&
    failureClass === end.failureClass &&
    end.message.test(message) &&
    attempts >= (end.leastAttempts ?? 0) &&
    (end.once === undefined || times[end.once] !== undefined)
  return isRight ? undefined : `is ${phase} ${failureClass ?? ''} in attempt ${attempts}: ${message}`
}

const ends = (name: string, index: number): { says: string; name: string; end: End } => {
  const row: Behaviour | undefined = rows[index]
  const door = doors[index - rows.length]
  if (row) return { says: row.name, name, end: row.end }
  if (door) {
    const end: End = { condition: 'Reachable', reason: 'NotAnswering', message: door.message }
    return { says: door.name, name, end }
  }
  return {
    says: 'is honest',
    name,
    end: { phase: 'Succeeded', message: /^runs OpenWrt 24\.10\.8/ },
  }
}

test(
  'the twenty behaviours of hostile routers, each through a whole upgrade',
  { timeout: 120_000 },
  async () => {
    expect(behaviours).toHaveLength(20)
    const { store, events, simulated, routers, names } = await startWorld()
    const late = names.at(-1)!
    const declare = async (wanted: (name: string) => boolean): Promise<void> => {
      for (const { manifest } of simulated.declared) {
        if (!wanted(manifest.metadata.name)) continue
        const index = names.indexOf(manifest.metadata.name)
        const { legacyAlgorithms } = rows[index] ?? {}
        await store.apply(
          legacyAlgorithms === undefined
            ? manifest
            : ({ ...manifest, spec: { ...manifest.spec, legacyAlgorithms } } as Manifest),
        )
      }
    }
    const left = async (of: readonly string[]): Promise<string[]> => {
      const devices = new Map((await store.list('Device')).items.map((each) => [each.metadata.name, each]))
      const operations = (await store.list('UpgradeOperation')).items
      return names.flatMap((name, index) => {
        if (!of.includes(name)) return []
        const { says, end } = ends(name, index)
        const operation = operations.findLast(({ spec }) => spec.deviceRef.name === name)
        const why = missing(end, devices.get(name)!, operation)
        return why === undefined ? [] : [`${name}, which ${says}, ${why}`]
      })
    }
    const settle = async (of: readonly string[]): Promise<void> => {
      let last: string[] = []
      await until('all have ended', async () => (last = await left(of)).length === 0, 60_000).catch(() => {})
      expect(last).toEqual([])
    }

    await declare((name) => name !== late)
    await settle(names.slice(0, -1))
    // The controller is as it was: whoever comes now is served as ever.
    await declare((name) => name === late)
    await settle([late])

    expect(events.filter(({ type }) => type === 'Bug')).toEqual([])
    for (const router of routers.values()) {
      const written = eventsOf(router.history, 'FlashWritten')
      expect(written.length, router.name).toBeLessThanOrEqual(1)
    }
    const devices = (await store.list('Device')).items
    const operations = (await store.list('UpgradeOperation')).items
    for (const { kind, status } of [...devices, ...operations]) expect(statusProblems(kind, status)).toBe('')
    for (const text of textsIn([devices, operations, events])) expect(text).toMatch(/^[\x20-\x7e]*$/)
    for (const operation of operations) {
      if (operation.status.phase !== 'Succeeded') continue
      expect(routers.get(operation.spec.deviceRef.name)?.state.release).toEqual(target)
    }
    recordFigure({
      suite: 'hostile',
      name: 'router behaviours survived',
      value: behaviours.length,
      goal: '20 of 20',
    })
    recordFigure({
      suite: 'hostile',
      name: 'behaviours of servers beside them survived',
      value: moreBehaviours.length + doors.length,
    })
  },
)
