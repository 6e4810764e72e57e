import type { IncomingMessage, ServerResponse } from 'node:http'
import { type HttpFault, statusOf, type WatchEvent } from './http-faults.ts'
import type { RulesInForce } from './http-rules.ts'

/** Headers without those that are about one connection, or about the host at its end. */
export const passedHeaders = (message: IncomingMessage): Record<string, string[] | undefined> => {
  const own = ['connection', 'host', 'keep-alive', 'transfer-encoding']
  return Object.fromEntries(Object.entries(message.headersDistinct).filter(([name]) => !own.includes(name)))
}

const writeHead = (source: IncomingMessage, sink: ServerResponse) => {
  sink.writeHead(source.statusCode ?? 502, passedHeaders(source))
  sink.flushHeaders()
}

const newline = 10

/** Cuts what comes into lines; what is left at the end counts as one. */
const createLineSplitter = () => {
  let rest: Buffer = Buffer.alloc(0)
  return {
    push: (bytes: Buffer): Buffer[] => {
      rest = Buffer.concat([rest, bytes])
      const lines: Buffer[] = []
      for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
        lines.push(rest.subarray(0, end + 1))
        rest = rest.subarray(end + 1)
      }
      return lines
    },
    end: (): Buffer[] => (rest.length > 0 ? [rest] : []),
  }
}

export interface Relay {
  /** To be called when the rules have changed. */
  turn(): void
}

export interface RelayOptions {
  /** What the target answers. */
  source: IncomingMessage
  sink: ServerResponse
  /** It is a stream of events, one a line. */
  areEvents: boolean
  rules: RulesInForce
  /** The head of the answer goes out. */
  onHead: () => void
}

/** Passes an answer on, event by event if it is a watch, with the faults that are on at that moment. */
export const relayAnswer = ({ source, sink, areEvents, rules, onHead }: RelayOptions): Relay => {
  const splitter = areEvents ? createLineSplitter() : { push: (bytes: Buffer) => [bytes], end: () => [] }
  /** Lines of a watch, pieces of any other body. */
  const units: Buffer[] = []
  let outgoing: Buffer = Buffer.alloc(0)
  /** The event that comes after its follower. */
  let overtaken: { bytes: Buffer; by: HttpFault } | undefined
  let sourceIs: 'open' | 'ended' | 'broken' = 'open'
  let isPaused = false
  let isOver = false

  const head = (): WatchEvent | undefined =>
    units[0] && areEvents ? (JSON.parse(units[0].toString()) as WatchEvent) : undefined
  const pauseUntil = (event: (fn: () => void) => unknown) => {
    isPaused = true
    event(() => {
      isPaused = false
      turn()
    })
  }
  const send = () => {
    const slice = rules.hold('slice', head)
    const piece = outgoing.subarray(0, slice?.bytes ?? outgoing.length)
    outgoing = outgoing.subarray(piece.length)
    if (!sink.write(piece)) pauseUntil((fn) => sink.once('drain', fn))
    // So that what follows does not go out together with it.
    else if (slice) pauseUntil((fn) => setImmediate(() => setImmediate(fn)))
  }
  const finish = (how: 'end' | 'close', last: Buffer | string = '') => {
    isOver = true
    rules.end()
    source.destroy()
    if (how === 'end') sink.end(last)
    else if (last !== '') sink.write(last, () => sink.destroy())
    else sink.destroy()
  }
  /** Ends the answer if a fault says so. */
  const endEarly = (): boolean => {
    if (areEvents && rules.strike('endWatch', head)) finish('end')
    else if (units[0] && rules.strike('cut', head)) finish('close', units[0].subarray(0, units[0].length / 2))
    else if (areEvents) {
      const failure = rules.strike('errorEvent', head)
      if (failure) finish('end', `${JSON.stringify({ type: 'ERROR', object: statusOf(failure.code) })}\n`)
    }
    return isOver
  }
  /** What goes out for the next unit. */
  const take = (): Buffer[] => {
    const fault = areEvents
      ? (rules.strike('dropEvents', head) ??
        rules.strike('doubleEvents', head) ??
        (overtaken ? undefined : rules.strike('reorderEvents', head)))
      : undefined
    const unit = units.shift()!
    rules.pass()
    if (fault?.kind === 'dropEvents') return []
    if (fault?.kind === 'doubleEvents') return [unit, unit, takeOvertaken()]
    if (!fault) return [unit, takeOvertaken()]
    overtaken = { bytes: unit, by: fault }
    return []
  }
  const takeOvertaken = (): Buffer => {
    const bytes = overtaken?.bytes ?? Buffer.alloc(0)
    overtaken = undefined
    return bytes
  }

  /** Does the next thing; false when there is nothing to do until something changes. */
  const step = (): boolean => {
    if (isOver || isPaused || rules.hold('stall', head)) return false
    if (outgoing.length > 0) {
      send()
      return true
    }
    if (rules.strike('lose', head)) finish('close')
    else if (!sink.headersSent) {
      writeHead(source, sink)
      onHead()
    }
    if (isOver || endEarly()) return false
    if (units.length > 0) {
      if (areEvents && rules.hold('holdEvents', head)) return false
      outgoing = Buffer.concat(take())
      if (units.length === 0) source.resume()
      return true
    }
    if (overtaken && (sourceIs === 'ended' || !rules.isOn(overtaken.by))) {
      outgoing = takeOvertaken()
      return true
    }
    if (sourceIs !== 'open') finish(sourceIs === 'ended' ? 'end' : 'close')
    return false
  }
  const turn = () => {
    while (step());
  }

  source.on('data', (bytes: Buffer) => {
    units.push(...splitter.push(bytes))
    if (units.length > 0) source.pause()
    turn()
  })
  const onEnd = (how: 'ended' | 'broken') => {
    if (how === 'ended') units.push(...splitter.end())
    sourceIs = how
    turn()
  }
  source.on('end', () => onEnd('ended'))
  source.on('error', () => onEnd('broken'))
  sink.on('close', () => isOver || finish('close'))
  turn()
  return { turn }
}
