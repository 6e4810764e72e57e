import fc from 'fast-check'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { hasCode } from '../../src/core/errors.ts'
import { startServer } from '../../src/server/http-server.ts'
import { streamHeaders, streamText } from '../../src/server/text-stream.ts'
import { category } from '../support/category.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { connectRaw, type RawConnection } from '../support/raw-http.ts'
import { categoriesPath, serveStore } from '../support/served-store.ts'
import { until } from '../support/until.ts'

const never = new AbortController().signal
const pieceBytes = 32 * 1024
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

describe('a text that is sent bit by bit', () => {
  test('comes whole, in small pieces', async () => {
    const texts = fc.array(
      fc
        .tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.nat(30_000))
        .map(([unit, times]) => unit.repeat(times)),
      { maxLength: 4 },
    )
    const property = fc.asyncProperty(texts, async (written) => {
      const body = streamText({ clock: createManualClock(), signal: never }, async (stream) => {
        for (const text of written) await stream.write(text)
      })
      const pieces: Uint8Array[] = []
      for await (const piece of body) pieces.push(piece)
      expect(Math.max(0, ...pieces.map(({ buffer }) => buffer.byteLength))).toBeLessThanOrEqual(pieceBytes)
      expect(Buffer.concat(pieces).equals(Buffer.from(written.join('')))).toBe(true)
    })
    await fc.assert(property, { numRuns: 50 })
  })

  test('is made no sooner than it is taken, and is cut off when nobody takes it for 10 s', async () => {
    const clock = createManualClock()
    let taken = 0
    let why: unknown
    const body = streamText({ clock, signal: never }, async (stream) => {
      try {
        for (; !stream.signal.aborted; taken += 1) await stream.write('more')
      } catch (error) {
        why = error
        throw error
      }
    })
    const reader = body.getReader()
    for (let second = 0; second < 3; second += 1) {
      await clock.advance(9999)
      await reader.read()
    }
    await clock.advance(0)
    expect(taken).toBe(3)
    await clock.advance(9999)
    expect(why).toBeUndefined()
    await clock.advance(1)
    expect(hasCode(why, 'Timeout')).toBe(true)
    await expect(reader.closed).rejects.toBe(why)
    expect(clock.nextWakeMs()).toBeUndefined()
  })

  test('ends with its reader, whatever it is doing', async () => {
    for (const readsFirst of [true, false]) {
      const clock = createManualClock()
      const ended = Promise.withResolvers<AbortSignal>()
      const body = streamText({ clock, signal: never }, async (stream) => {
        try {
          for (;;) await stream.write('more')
        } finally {
          ended.resolve(stream.signal)
        }
      })
      const reader = body.getReader()
      if (readsFirst) await reader.read()
      await reader.cancel()
      expect((await ended.promise).aborted).toBe(true)
      await clock.advance(0)
      expect(clock.nextWakeMs()).toBeUndefined()
    }
  })
})

describe('over real connections', () => {
  const serve = async (
    fetch: Parameters<typeof startServer>[0]['fetch'],
  ): Promise<{ url: string; bugs: unknown[] }> => {
    const bugs: unknown[] = []
    const server = await startServer({
      listen: { host: '127.0.0.1', port: 0 },
      fetch,
      needsToken: false,
      maxConnections: 1000,
      clock: systemClock,
      onBug: (error) => bugs.push(error),
    })
    onTestFinished(() => server.close())
    return { url: server.url, bugs }
  }

  test('who takes nothing is cut off long before the connection would be', async () => {
    const clock = createFastClock(50)
    let closed = false
    const { url, bugs } = await serve((request, env) => {
      env.outgoing.once('close', () => (closed = true))
      const body = streamText({ clock, signal: request.signal }, async (stream) => {
        while (!stream.signal.aborted) await stream.write('x'.repeat(100_000))
      })
      return new Response(body, { headers: streamHeaders })
    })
    const connection = connectRaw(url)
    connection.socket.pause()
    connection.write(get('/'))
    await until('the connection is closed', () => closed, 5000)
    expect(bugs).toEqual([])
  })

  test('a client of HTTP/1.0 gets no lengths of chunks', async () => {
    const { url } = await serve((request) => {
      const body = streamText({ clock: systemClock, signal: request.signal }, (stream) =>
        stream.write('all of it'),
      )
      return new Response(body, { headers: streamHeaders })
    })
    const connection = connectRaw(url)
    connection.write('GET / HTTP/1.0\r\nHost: localhost\r\n\r\n')
    const text = await connection.closed
    expect(text).toMatch(/\r\n\r\nall of it$/)
    expect(text.toLowerCase()).not.toContain('transfer-encoding')
  })

  test('many watches cost little, whether they are read or not', async () => {
    const objects = 4000
    const served = await serveStore({ maxWatches: 1000 })
    onTestFinished(() => served.stop())
    for (let index = 0; index < objects; index += 1) {
      await served.store.create(category(`c-${index}`, { description: 'd'.repeat(1000) }))
    }
    await served.settle()
    const { url, bugs } = await serve((request) => served.get(request.url, { signal: request.signal }))
    const watch = (): RawConnection => {
      const connection = connectRaw(url)
      connection.write(get(`${categoriesPath}?watch=true&resourceVersion=0`))
      return connection
    }
    const lastObject = `"name":"c-999"`

    // What is made once, such as the text of each object.
    const first = watch()
    await until('the first watch has everything', () => first.received().includes(lastObject))
    first.socket.destroy()
    await until('it is gone', () => served.listening() === 0)

    const idle = 200
    const before = keptBytes()
    let heard = 0
    for (let count = 0; count < idle; count += 1) {
      const connection = watch()
      // Only the end of what has come is looked at, else the client would be measured.
      let end = ''
      connection.socket.removeAllListeners('data').on('data', (text: string) => {
        const isThere = end.includes(lastObject)
        end = (end + text).slice(-3000)
        if (!isThere && end.includes(lastObject)) heard += 1
      })
    }
    await until('all watches have everything', () => heard === idle, 30_000)
    await until('each idle watch keeps little', () => (keptBytes() - before) / idle < 100 * 1024)

    const unread = 20
    const withIdle = keptBytes()
    for (let count = 0; count < unread; count += 1) watch().socket.pause()
    await until('they have begun', () => served.listening() === idle + unread)
    // Until their connections can take no more.
    await systemClock.sleep(500)
    await until('each keeps little', () => (keptBytes() - withIdle) / unread < 400 * 1024)
    expect(bugs).toEqual([])
  })
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What is in memory and in use. */
function keptBytes(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
