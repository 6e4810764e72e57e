import type { Client } from 'ssh2'

/** Greeting and identification are far below this. */
const maxBytes = 64 * 1024
const newline = 10

/**
 * Looks for the identification line (RFC 4253 section 4.2) in what a device sends first. Gives the offset behind it as
 * soon as a chunk completes it.
 */
export const createIdentificationFinder = (): ((chunk: Buffer) => number | undefined) => {
  let lineStart = ''
  let before = 0
  return (chunk) => {
    for (const [index, byte] of chunk.entries()) {
      if (byte !== newline) {
        if (lineStart.length < 4) lineStart += String.fromCharCode(byte)
      } else if (lineStart === 'SSH-') return before + index + 1
      else lineStart = ''
    }
    before += chunk.length
    return undefined
  }
}

/** How ssh2 takes bytes in: it returns up to where it has understood them. */
interface Internals {
  _protocol?: {
    _parse?: (chunk: Buffer, start: number, end: number) => number
    parse?: (chunk: Buffer, start: number, end: number) => void
  }
}

/**
 * ssh2 1.17 loses the middle of an identification that comes in more than two pieces, and then finds the signature of
 * the device wrong or waits for ever: so it gets all of it in one. To be called right after `connect`.
 */
export const joinIdentification = (client: Client): void => {
  const protocol = (client as Internals)._protocol
  const parseHeader = protocol?._parse
  if (!protocol || !parseHeader) return
  const find = createIdentificationFinder()
  const chunks: Buffer[] = []
  let length = 0
  protocol._parse = (chunk, start, end) => {
    const bytes = chunk.subarray(start, end)
    chunks.push(bytes)
    length += bytes.length
    if (find(bytes) !== undefined) {
      protocol._parse = parseHeader
      protocol.parse?.(Buffer.concat(chunks), 0, length)
    } else if (length > maxBytes) throw new Error(`no SSH identification within ${maxBytes} bytes`)
    return end
  }
}
