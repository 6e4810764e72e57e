import type { Socket } from 'node:net'
import type { Clock, Random } from '../../src/ports/clock.ts'
import { resetSocket } from './reset-socket.ts'
import type { Toxic } from './toxics.ts'

/** More than this is not taken from the sender before some of it has gone on. */
const maxHeldBytes = 256 * 1024
/** A bandwidth cap is kept by pieces that take so long each. */
const bandwidthStepMs = 20

/** What one direction of one connection has carried so far. Times are in ms of the monotonic clock. */
export interface FlowRecord {
  /** From the sender, */
  readonly receivedBytes: number
  /** and handed to the receiver. */
  readonly forwardedBytes: number
  /** When the sender last sent something. */
  readonly lastMs: number | undefined
  /** When the sender ended its side, and how. */
  readonly ended: { atMs: number; by: 'fin' | 'reset' } | undefined
  /** What the receiver was told of an end. */
  readonly told: 'nothing' | 'fin' | 'reset'
}

/** One direction of one connection: takes from the source what toxics let through to the sink. */
export interface Flow {
  readonly record: FlowRecord
  /** Puts a toxic in force once so many more bytes are through; the returned function takes it out. */
  dose(toxic: Toxic, afterBytes: number): () => void
  /** The receiver gets an end of the stream (or an RST), and nothing afterwards. */
  finish(by: 'fin' | 'reset'): void
  /** The receiver hears nothing more, not even an end. */
  silence(): void
}

export interface FlowOptions {
  source: Socket
  sink: Socket
  clock: Clock
  random: Random
  /** A toxic has ended the stream: what becomes of the other direction. */
  onStruck: (toxic: 'reset' | 'cut') => void
}

interface Arrival {
  atMs: number
  /** From -1 to 1: its part of any jitter. */
  luck: number
}
type Kind<K extends Toxic['kind']> = Extract<Toxic, { kind: K }>

export const createFlow = ({ source, sink, clock, random, onStruck }: FlowOptions): Flow => {
  const record = {
    receivedBytes: 0,
    forwardedBytes: 0,
    lastMs: undefined as number | undefined,
    ended: undefined as FlowRecord['ended'],
    told: 'nothing' as FlowRecord['told'],
  }
  const doses = new Set<{ toxic: Toxic; fromByte: number }>()
  const held: (Arrival & { bytes: Buffer })[] = []
  let heldBytes = 0
  let end: (Arrival & { by: 'fin' | 'reset' }) | undefined
  /** The receiver is not there any more. */
  let isGone = false
  let isSilent = false
  let isPaused = false
  /** Bytes that went on or were swallowed. */
  let position = 0
  let lineFreeMs = 0
  let cancelTimer = () => {}

  const inForce = <K extends Toxic['kind']>(kind: K): Kind<K>[] =>
    [...doses]
      .filter((dose) => dose.fromByte <= position && dose.toxic.kind === kind)
      .map(({ toxic }) => toxic as Kind<K>)
  const arrival = (): Arrival => ({ atMs: clock.monotonic(), luck: 2 * random() - 1 })

  const take = (bytes: number): Buffer => {
    const head = held[0]!
    const piece = head.bytes.subarray(0, bytes)
    if (piece.length === head.bytes.length) held.shift()
    else head.bytes = head.bytes.subarray(bytes)
    heldBytes -= piece.length
    position += piece.length
    if (heldBytes < maxHeldBytes && source.isPaused()) source.resume()
    return piece
  }
  const pauseUntil = (event: (fn: () => void) => unknown) => {
    isPaused = true
    event(() => {
      isPaused = false
      turn()
    })
  }
  const send = (piece: Buffer, isSlice: boolean) => {
    const wantsMore = sink.write(piece, (error) => {
      if (!error) record.forwardedBytes += piece.length
    })
    if (!wantsMore) pauseUntil((fn) => sink.once('drain', fn))
    // Long enough for a receiver in this process to read one piece before the next one is there.
    else if (isSlice) pauseUntil((fn) => setImmediate(() => setImmediate(fn)))
  }
  const finish = (by: 'fin' | 'reset') => {
    if (isGone || record.told === 'reset' || record.told === by) return
    record.told = by
    held.length = heldBytes = 0
    if (source.isPaused()) source.resume()
    if (by === 'fin') sink.end()
    else resetSocket(sink)
  }
  const strike = (): boolean => {
    const toxic = (['reset', 'cut', 'halfClose'] as const).find((kind) => inForce(kind).length > 0)
    if (toxic === undefined || isGone || record.told === 'reset') return false
    if (record.told === 'fin' && toxic !== 'reset') return false
    finish(toxic === 'reset' ? 'reset' : 'fin')
    if (toxic !== 'halfClose') onStruck(toxic)
    return true
  }
  const delayMs = ({ luck }: Arrival): number =>
    inForce('delay').reduce((sum, { ms, jitterMs = 0 }) => sum + Math.max(0, ms + luck * jitterMs), 0)
  const wait = (untilMs: number): boolean => {
    const leftMs = untilMs - clock.monotonic()
    if (leftMs > 0) cancelTimer = clock.after(leftMs, turn)
    return leftMs > 0
  }

  /** Does one thing with what is first in line; false when there is nothing to do until something changes. */
  const step = (): boolean => {
    if (strike() || isPaused || isSilent || isGone || inForce('stall').length > 0) return false
    const isDropping = inForce('drop').length > 0
    const head = held[0]
    if (!head) {
      if (!end || end.by === record.told || isDropping) return false
      const slowMs = inForce('slowClose').reduce((sum, { ms }) => sum + ms, 0)
      if (!wait(end.atMs + delayMs(end) + slowMs)) finish(end.by)
      return false
    }
    const untilNext = [...doses].map(({ fromByte }) => fromByte - position).filter((bytes) => bytes > 0)
    if (isDropping) {
      take(Math.min(head.bytes.length, ...untilNext))
      return true
    }
    const rate = Math.min(...inForce('bandwidth').map(({ bytesPerSecond }) => bytesPerSecond))
    if (wait(Math.max(head.atMs + delayMs(head), rate < Infinity ? lineFreeMs : 0))) return false
    const slices = inForce('slice').map(({ bytes }) => bytes)
    const share = Math.max(1, Math.floor((rate * bandwidthStepMs) / 1000))
    const piece = take(Math.min(head.bytes.length, share, ...slices, ...untilNext))
    if (rate < Infinity) lineFreeMs = Math.max(lineFreeMs, clock.monotonic()) + (piece.length * 1000) / rate
    send(piece, slices.length > 0 || untilNext.length > 0)
    return true
  }
  const turn = () => {
    cancelTimer()
    while (step());
  }

  const onEnd = (by: 'fin' | 'reset') => {
    record.ended = { atMs: clock.monotonic(), by }
    end = { ...arrival(), by }
    turn()
  }
  source.on('data', (bytes: Buffer) => {
    record.receivedBytes += bytes.length
    record.lastMs = clock.monotonic()
    if (record.told !== 'nothing' || isSilent || isGone) return
    held.push({ ...arrival(), bytes })
    heldBytes += bytes.length
    if (heldBytes >= maxHeldBytes) source.pause()
    turn()
  })
  source.on('end', () => onEnd('fin'))
  // Without an error it was us who closed it.
  source.on('close', (hadError) => hadError && onEnd('reset'))
  sink.on('close', () => {
    cancelTimer()
    isGone = true
    held.length = heldBytes = 0
    source.resume()
  })

  return {
    record,
    dose: (toxic, afterBytes) => {
      const dose = { toxic, fromByte: position + afterBytes }
      doses.add(dose)
      turn()
      return () => {
        doses.delete(dose)
        turn()
      }
    },
    finish,
    silence: () => {
      isSilent = true
      if ([...doses].some(({ toxic }) => toxic.kind === 'reset')) finish('reset')
    },
  }
}
