import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createBandwidth } from '../../src/controllers/bandwidth.ts'

const pieceBytes = 1000
/** One piece takes a second. */
const bitsPerSecond = 8000
const never = new AbortController().signal

const run = (throttle: (bytes: number, signal: AbortSignal) => Promise<void>, signal: AbortSignal) => {
  const progress = { sentBytes: 0 }
  const ended = (async () => {
    for (;;) {
      await throttle(pieceBytes, signal)
      progress.sentBytes += pieceBytes
    }
  })()
  return { progress, ended }
}

test('an upload goes at the cap', async () => {
  const clock = createManualClock()
  const { progress } = run(createBandwidth(bitsPerSecond, clock), never)
  await clock.advance(60_000)
  expect(progress.sentBytes).toBe(60 * pieceBytes)
})

test('uploads share the cap evenly', async () => {
  const clock = createManualClock()
  const throttle = createBandwidth(bitsPerSecond, clock)
  const uploads = [run(throttle, never), run(throttle, never), run(throttle, never)]
  await clock.advance(60_000)
  expect(uploads.map(({ progress }) => progress.sentBytes)).toEqual([20_000, 20_000, 20_000])
})

test('idle time is not saved up for a burst', async () => {
  const clock = createManualClock()
  const throttle = createBandwidth(bitsPerSecond, clock)
  await clock.advance(3_600_000)
  const { progress } = run(throttle, never)
  await clock.advance(10_000)
  expect(progress.sentBytes).toBe(10 * pieceBytes)
})

test('an aborted wait rejects with the reason and gives its share back', async () => {
  const clock = createManualClock()
  const throttle = createBandwidth(bitsPerSecond, clock)
  const abort = new AbortController()
  const big = throttle(100 * pieceBytes, abort.signal)
  const reason = new Error('cancelled')
  abort.abort(reason)
  await expect(big).rejects.toBe(reason)
  await expect(throttle(1, abort.signal)).rejects.toBe(reason)
  const { progress } = run(throttle, never)
  await clock.advance(10_000)
  expect(progress.sentBytes).toBe(10 * pieceBytes)
})
