import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createCountedClock } from '../support/counted-clock.ts'
import { type FaultProxy, type FaultProxyOptions, startFaultProxy } from '../support/fault-proxy.ts'
import { mostWithin } from '../support/most-within.ts'
import type { Direction } from '../support/toxics.ts'
import { until } from '../support/until.ts'

const cleanUps: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

/** One end of a connection, and what its owner sees. */
interface End {
  socket: Socket
  /** The size of each read. */
  reads: number[]
  text(): string
  /** What it has seen of the end of the stream. */
  end(): 'none' | 'fin' | 'reset'
}

const endOf = (socket: Socket): End => {
  const reads: number[] = []
  let text = ''
  let end: 'none' | 'fin' | 'reset' = 'none'
  socket.on('data', (bytes: Buffer) => {
    reads.push(bytes.length)
    text += bytes.toString('latin1')
  })
  socket.on('end', () => (end = 'fin'))
  socket.on('error', (error) => {
    // An RST after the end of the stream shows as a broken pipe.
    if ('code' in error && ['ECONNRESET', 'EPIPE'].includes(String(error.code))) end = 'reset'
  })
  cleanUps.push(() => void socket.destroy())
  return { socket, reads, text: () => text, end: () => end }
}

interface Line {
  proxy: FaultProxy
  /** A client and what it reaches. */
  dial: () => Promise<{ client: End; target: End }>
  /** A client alone. */
  call: () => Promise<End>
  /** The next connection that reaches the target. */
  reached: () => Promise<End>
}

const startLine = async (options: Partial<FaultProxyOptions> = {}): Promise<Line> => {
  const accepted: Socket[] = []
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void accepted.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUps.push(() => void server.close())
  const proxy = await startFaultProxy({ port: (server.address() as AddressInfo).port, ...options })
  cleanUps.push(() => proxy.close())
  const call = async () => {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const end = endOf(socket)
    await once(socket, 'connect')
    return end
  }
  const reached = async () => endOf(await until('the target is reached', () => accepted.shift()))
  return {
    proxy,
    call,
    reached,
    dial: async () => {
      const client = await call()
      return { client, target: await reached() }
    },
  }
}

const sorted = (direction: Direction, { client, target }: { client: End; target: End }) =>
  direction === 'upstream' ? { sender: client, receiver: target } : { sender: target, receiver: client }

/** Proves that a connection does nothing: another one, made later, has carried a byte there and back. */
const othersPass = async ({ dial }: Line) => {
  const { client, target } = await dial()
  client.socket.write('?')
  await until('a byte there', () => target.text() === '?')
  target.socket.write('!')
  await until('a byte back', () => client.text() === '!')
}

const arrives = (end: End, text: string) => until(`${text} arrives`, () => end.text() === text)

describe('without toxics', () => {
  test('everything passes, with ends and resets', async () => {
    const { proxy, dial } = await startLine()
    const { client, target } = await dial()
    client.socket.write('question')
    await arrives(target, 'question')
    client.socket.end()
    await until('the end is seen', () => target.end() === 'fin')
    target.socket.end('answer')
    await arrives(client, 'answer')
    await until('nothing is left', () => proxy.connections[0]!.closedMs)
    const other = await dial()
    other.target.socket.resetAndDestroy()
    await until('the reset is seen', () => other.client.end() === 'reset')
    await until('nothing is left', () => proxy.connections[1]!.closedMs)
  })

  test('a megabyte passes unharmed, both ways at once', async () => {
    const { proxy, dial } = await startLine()
    const { client, target } = await dial()
    const text = Array.from({ length: 100_000 }, (_, at) => `line ${at}\n`).join('')
    client.socket.end(text)
    target.socket.end(text)
    await until('both have all', () => client.end() === 'fin' && target.end() === 'fin')
    expect(client.text()).toBe(text)
    expect(target.text()).toBe(text)
    const { upstream, downstream } = proxy.connections[0]!
    expect([upstream, downstream]).toMatchObject([
      { receivedBytes: text.length, forwardedBytes: text.length, ended: { by: 'fin' } },
      { receivedBytes: text.length, forwardedBytes: text.length, ended: { by: 'fin' } },
    ])
  })

  test('a target that refuses resets the client', async () => {
    const { proxy } = await startLine()
    // Another proxy, in front of a port where nobody listens.
    const gone = await startFaultProxy({ port: 1 })
    cleanUps.push(() => gone.close())
    const client = endOf(connect(gone.port, '127.0.0.1'))
    await until('the client is reset', () => client.end() === 'reset')
    expect(proxy.connections).toEqual([])
  })

  test('times are those of the clock', async () => {
    const clock = createManualClock()
    const { proxy, dial } = await startLine({ clock })
    await clock.advance(100)
    const { client, target } = await dial()
    await clock.advance(50)
    client.socket.write('x')
    await arrives(target, 'x')
    await clock.advance(50)
    client.socket.end()
    target.socket.end()
    await until('it is over', () => proxy.connections[0]!.closedMs)
    expect(proxy.connections).toEqual([
      {
        openedMs: 100,
        closedMs: 200,
        upstream: {
          receivedBytes: 1,
          forwardedBytes: 1,
          lastMs: 150,
          ended: { atMs: 200, by: 'fin' },
          told: 'fin',
        },
        downstream: {
          receivedBytes: 0,
          forwardedBytes: 0,
          lastMs: undefined,
          ended: { atMs: 200, by: 'fin' },
          told: 'fin',
        },
      },
    ])
  })
})

describe.each<Direction>(['upstream', 'downstream'])('%s', (direction) => {
  const back = direction === 'upstream' ? 'downstream' : 'upstream'
  const open = async (options?: Partial<FaultProxyOptions>) => {
    const line = await startLine(options)
    const pair = await line.dial()
    return { ...line, line, ...sorted(direction, pair), record: () => line.proxy.connections[0]![direction] }
  }

  test('stall keeps data and end back until it is off; the other direction goes on', async () => {
    const { proxy, line, sender, receiver, record } = await open()
    const off = proxy.add({ kind: 'stall' }, { direction, only: 'living' })
    sender.socket.end('late')
    await until('it has come', () => record().receivedBytes === 4 && record().ended)
    receiver.socket.write('back')
    await arrives(sender, 'back')
    await othersPass(line)
    expect(receiver.text()).toBe('')
    expect(receiver.end()).toBe('none')
    off()
    await arrives(receiver, 'late')
    await until('the end comes too', () => receiver.end() === 'fin')
  })

  test('stall takes no more than it can hold', async () => {
    const { proxy, line, sender, record } = await open()
    proxy.add({ kind: 'stall' }, { direction, only: 'living' })
    sender.socket.write(Buffer.alloc(30_000_000))
    await until('it holds some', () => record().receivedBytes >= 256 * 1024)
    await othersPass(line)
    expect(record().receivedBytes).toBeLessThan(512 * 1024)
  })

  test('drop swallows data and holds the end', async () => {
    const { proxy, line, sender, receiver, record } = await open()
    const off = proxy.add({ kind: 'drop' }, { direction, only: 'living', afterBytes: 2 })
    sender.socket.write(Buffer.alloc(1_000_000, 'x'))
    sender.socket.end()
    await until('it has come', () => record().receivedBytes === 1_000_000 && record().ended)
    await othersPass(line)
    expect(receiver.text()).toBe('xx')
    expect(receiver.end()).toBe('none')
    off()
    await until('the end comes', () => receiver.end() === 'fin')
    expect(receiver.text()).toBe('xx')
  })

  test('halfClose ends one direction; the other one goes on', async () => {
    const { proxy, sender, receiver, record } = await open()
    proxy.add({ kind: 'halfClose' }, { direction, afterBytes: 3 })
    sender.socket.write('abcdef')
    await until('the end is seen', () => receiver.end() === 'fin')
    expect(receiver.text()).toBe('abc')
    receiver.socket.write('back')
    await arrives(sender, 'back')
    sender.socket.write('more')
    await until('it is swallowed', () => record().receivedBytes === 10)
    expect(receiver.text()).toBe('abc')
    receiver.socket.end()
    sender.socket.end()
    await until('nothing is left', () => proxy.connections[0]!.closedMs)
  })

  test('reset reaches the receiver alone, and the sender hears nothing', async () => {
    const { proxy, line, sender, receiver } = await open()
    proxy.add({ kind: 'reset' }, { direction, only: 'living', afterBytes: 3 })
    sender.socket.write('abcdef')
    await until('the reset is seen', () => receiver.end() === 'reset')
    expect('abc').toContain(receiver.text())
    await othersPass(line)
    expect(sender.end()).toBe('none')
    expect(proxy.connections[0]![back].ended).toBeUndefined()
    sender.socket.end()
    await until('its end is seen', () => proxy.connections[0]![direction].ended)
  })

  test('reset after an end', async () => {
    const { proxy, sender, receiver } = await open()
    proxy.add({ kind: 'halfClose' }, { direction })
    await until('the end is seen', () => receiver.end() === 'fin')
    proxy.add({ kind: 'reset' }, { direction })
    await until('it breaks', () => !receiver.socket.write('x') || receiver.end() === 'reset')
    await until('the reset is seen', () => receiver.end() === 'reset')
    expect(sender.end()).toBe('none')
  })

  test('reset waits for nobody', async () => {
    const { proxy, sender, receiver, record } = await open()
    receiver.socket.pause()
    sender.socket.write(Buffer.alloc(30_000_000))
    await until('it is stuck', async () => {
      const before = record().forwardedBytes
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      return before > 0 && record().forwardedBytes === before
    })
    proxy.add({ kind: 'reset' })
    receiver.socket.resume()
    await until('both are reset', () => sender.end() === 'reset' && receiver.end() === 'reset')
    await until('nothing is left', () => proxy.connections[0]!.closedMs)
  })

  test('cut ends both sides after so many bytes', async () => {
    const { proxy, sender, receiver } = await open()
    proxy.add({ kind: 'cut' }, { direction, afterBytes: 3 })
    sender.socket.write('abcdef')
    await until('both see the end', () => sender.end() === 'fin' && receiver.end() === 'fin')
    expect(receiver.text()).toBe('abc')
    sender.socket.end()
    receiver.socket.end()
    await until('nothing is left', () => proxy.connections[0]!.closedMs)
  })

  test('slice hands out pieces of one byte', async () => {
    const { proxy, sender, receiver } = await open()
    proxy.add({ kind: 'slice', bytes: 1 }, { direction, afterBytes: 5 })
    sender.socket.write('whole' + 'x'.repeat(500))
    await until('all arrives', () => receiver.text().length === 505)
    expect(receiver.reads).toEqual([5, ...Array.from({ length: 500 }, () => 1)])
  })

  test('delay keeps order, and lets nothing through before its time', async () => {
    const clock = createManualClock()
    const { proxy, line, sender, receiver, record } = await open({ clock })
    proxy.add({ kind: 'delay', ms: 100 }, { direction, only: 'living' })
    sender.socket.write('first')
    await until('the first has come', () => record().receivedBytes === 5)
    await clock.advance(60)
    sender.socket.end('second')
    await until('the second has come', () => record().receivedBytes === 11 && record().ended)
    await clock.advance(39)
    await othersPass(line)
    expect(receiver.text()).toBe('')
    await clock.advance(1)
    await arrives(receiver, 'first')
    await clock.advance(59)
    await othersPass(line)
    expect(receiver.text()).toBe('first')
    expect(receiver.end()).toBe('none')
    await clock.advance(1)
    await arrives(receiver, 'firstsecond')
    await until('the end comes too', () => receiver.end() === 'fin')
  })

  test('bandwidth spreads bytes over time', async () => {
    const clock = createManualClock()
    const { proxy, line, sender, receiver, record } = await open({ clock })
    const off = proxy.add({ kind: 'bandwidth', bytesPerSecond: 1000 }, { direction, only: 'living' })
    sender.socket.write('x'.repeat(5000))
    await until('all has come', () => record().receivedBytes === 5000)
    for (const seconds of [1, 2, 3]) {
      await clock.advance(1000)
      await othersPass(line)
      // A step of 20 ms more or less.
      expect(Math.abs(receiver.text().length - seconds * 1000)).toBeLessThanOrEqual(40)
    }
    off()
    await until('the rest comes at once', () => receiver.text().length === 5000)
  })

  test('slowClose holds the end alone', async () => {
    const clock = createManualClock()
    const { proxy, line, sender, receiver, record } = await open({ clock })
    proxy.add({ kind: 'slowClose', ms: 1000 }, { direction, only: 'living' })
    sender.socket.end('data')
    await arrives(receiver, 'data')
    await until('the end has come', () => record().ended)
    await clock.advance(999)
    await othersPass(line)
    expect(receiver.end()).toBe('none')
    await clock.advance(1)
    await until('the end comes', () => receiver.end() === 'fin')
  })

  test('toxics add up, each from its byte on, and go off one by one', async () => {
    const clock = createManualClock()
    const { proxy, sender, receiver, record } = await open({ clock })
    const offs = [
      proxy.add({ kind: 'delay', ms: 10 }, { direction }),
      proxy.add({ kind: 'delay', ms: 5 }, { direction, afterBytes: 2 }),
      proxy.add({ kind: 'stall' }, { direction, afterBytes: 4 }),
    ]
    sender.socket.write('abcdef')
    await until('all has come', () => record().receivedBytes === 6)
    await clock.advance(10)
    await arrives(receiver, 'ab')
    await clock.advance(5)
    await arrives(receiver, 'abcd')
    for (const off of offs) off()
    await arrives(receiver, 'abcdef')
  })
})

describe('a toxic', () => {
  test('without a direction is for both', async () => {
    const { proxy, dial } = await startLine()
    const { client, target } = await dial()
    proxy.add({ kind: 'reset' }, { afterBytes: 2 })
    client.socket.write('ab')
    await until('both are reset', () => client.end() === 'reset' && target.end() === 'reset')
    await until('nothing is left', () => proxy.connections[0]!.closedMs)
  })

  test('may be for living connections only', async () => {
    const line = await startLine()
    const { client } = await line.dial()
    line.proxy.add({ kind: 'reset' }, { only: 'living' })
    await until('the living one is reset', () => client.end() === 'reset')
    await othersPass(line)
  })

  test('may be for new connections only', async () => {
    const { proxy, dial } = await startLine()
    const { client, target } = await dial()
    proxy.add({ kind: 'reset' }, { only: 'new' })
    const late = endOf(connect(proxy.port, '127.0.0.1'))
    await until('the new one is reset', () => late.end() === 'reset')
    client.socket.write('x')
    await arrives(target, 'x')
    proxy.clear()
    await dial()
  })

  test('of chance is the same for the same seed', async () => {
    const arrivals = async (seed: number) => {
      const clock = createManualClock()
      const { proxy, dial } = await startLine({ clock, seed })
      const { client, target } = await dial()
      proxy.add({ kind: 'delay', ms: 1000, jitterMs: 500 }, { direction: 'upstream' })
      const times: number[] = []
      for (const count of [1, 2, 3, 4, 5]) {
        client.socket.write('x')
        await until('it has come', () => proxy.connections[0]!.upstream.receivedBytes === count)
        const startMs = clock.monotonic()
        await clock.advance(clock.nextWakeMs()! - startMs)
        await until('it goes on', () => target.text().length === count)
        times.push(clock.monotonic() - startMs)
      }
      return times
    }
    const times = await arrivals(7)
    expect(await arrivals(7)).toEqual(times)
    expect(await arrivals(8)).not.toEqual(times)
    expect(new Set(times).size).toBe(5)
    expect(Math.min(...times)).toBeGreaterThanOrEqual(500)
    expect(Math.max(...times)).toBeLessThanOrEqual(1500)
  })
})

describe('new connections', () => {
  test('are refused, again and again, on a port that stays ours; living ones go on', async () => {
    const { proxy, dial } = await startLine()
    const { client, target } = await dial()
    for (let round = 0; round < 3; round++) {
      await proxy.refuse()
      await proxy.refuse()
      const refused = connect(proxy.port, '127.0.0.1')
      const [error] = await once(refused, 'error')
      expect(error).toMatchObject({ code: 'ECONNREFUSED' })
      client.socket.write('x')
      await arrives(target, 'x'.repeat(round + 1))
      await proxy.accept()
      await dial()
    }
    expect(proxy.connections.length).toBe(4)
  })

  test('disappear in a black hole, and are counted; living ones go on', async () => {
    const line = await startLine()
    const { proxy, dial, call } = line
    const { client, target } = await dial()
    await proxy.blackhole()
    const lost = await call()
    lost.socket.end('hello')
    await until('it is swallowed', () => proxy.connections[1]!.upstream.ended)
    client.socket.write('x')
    await arrives(target, 'x')
    await proxy.accept()
    await othersPass(line)
    expect([lost.text(), lost.end()]).toEqual(['', 'none'])
    expect(proxy.connections[1]).toMatchObject({
      upstream: { receivedBytes: 5, forwardedBytes: 0 },
      downstream: { receivedBytes: 0 },
    })
    expect(
      mostWithin(
        60_000,
        proxy.connections.map(({ openedMs }) => openedMs),
      ),
    ).toBe(3)
  })
})

test.each([
  ['everything', 2],
  ['nothing', 1],
] as const)('a doubled connection is told %s, and heard by nobody', async (tells, told) => {
  const line = await startLine()
  const { proxy, call, reached } = line
  const off = proxy.double(tells)
  const client = await call()
  const targets = [await reached(), await reached()]
  client.socket.write('question')
  await until(
    'the target is told',
    () => targets.filter((each) => each.text() === 'question').length === told,
  )
  for (const { socket } of targets) socket.write('answer')
  await arrives(client, 'answer')
  client.socket.resetAndDestroy()
  await until('both are over', () => targets.every((each) => each.end() !== 'none'))
  expect(targets.filter((each) => each.text() === 'question').length).toBe(told)
  expect(client.text()).toBe('answer')
  expect(proxy.connections.length).toBe(1)
  off()
  await othersPass(line)
})

test('after its close nothing is left: no socket, no timer', async () => {
  const held = () =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP') || name === 'Timeout').length
  const before = held()
  const clock = createCountedClock()
  const { proxy, dial, call } = await startLine({ clock })
  const pairs = [await dial(), await dial(), await dial()]
  proxy.add({ kind: 'delay', ms: 3_600_000 }, { direction: 'upstream' })
  proxy.add({ kind: 'stall' }, { direction: 'downstream' })
  for (const { client, target } of pairs) {
    client.socket.write('x')
    target.socket.write('x')
  }
  await until('they wait', () => clock.pending() === 3)
  await proxy.blackhole()
  await call()
  await proxy.refuse()
  await proxy.close()
  expect(clock.pending()).toBe(0)
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
  await until('sockets and timers are gone', () => held() <= before)
})

test.each([
  [1000, [], 0],
  [1000, [5], 1],
  [1000, [0, 1000, 2000], 1],
  [1001, [2000, 0, 1000], 2],
  [1000, [0, 500, 999, 1000, 1400], 4],
])('mostWithin(%i, %j) is %i', (ms, times, most) => expect(mostWithin(ms, times)).toBe(most))
