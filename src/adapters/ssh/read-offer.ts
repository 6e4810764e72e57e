import type { Offer } from './algorithms.ts'
import { createIdentificationFinder } from './identification.ts'

/** Greeting, identification and the first packet are far below this. */
const maxBytes = 64 * 1024
const kexInit = 20
const cookieBytes = 16

const readLists = (payload: Buffer): string[][] => {
  const lists: string[][] = []
  let position = 1 + cookieBytes
  while (lists.length < 8 && position + 4 <= payload.length) {
    const end = position + 4 + payload.readUInt32BE(position)
    if (end > payload.length) break
    lists.push(payload.toString('latin1', position + 4, end).split(','))
    position = end
  }
  return lists
}

/** The packet, if it is a KEXINIT. */
const parseOffer = (packet: Buffer): Offer | undefined => {
  if (packet.length < 6 || packet[5] !== kexInit) return undefined
  const [kex, serverHostKey, cipher, , hmac] = readLists(packet.subarray(5, packet.length - (packet[4] ?? 0)))
  return kex && serverHostKey && cipher && hmac ? { kex, serverHostKey, cipher, hmac } : undefined
}

export interface OfferReader {
  push: (chunk: Buffer) => void
  offer: () => Offer | undefined
}

/**
 * Reads along what a device offers in the clear: ssh2 keeps it to itself, and it is what an operator needs to hear when
 * nothing matches. Keeps at most 64 KiB.
 */
export const createOfferReader = (): OfferReader => {
  const find = createIdentificationFinder()
  let chunks: Buffer[] = []
  let length = 0
  /** Where the first packet begins, and what follows it. */
  let start: number | undefined
  let end: number | undefined
  let offer: Offer | undefined
  let over = false

  const readPacket = () => {
    if (start === undefined || length < (end ?? start + 4)) return
    const bytes = Buffer.concat(chunks)
    end ??= start + 4 + bytes.readUInt32BE(start)
    if (length < end) return
    offer = parseOffer(bytes.subarray(start, end))
    over = true
  }
  return {
    push: (chunk) => {
      if (over) return
      chunks.push(chunk)
      length += chunk.length
      start ??= find(chunk)
      readPacket()
      over ||= length > maxBytes
      if (over) chunks = []
    },
    offer: () => offer,
  }
}
