import type { Offer } from './algorithms.ts'

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

/** The first packet after the identification line, if it is there in whole and is a KEXINIT. */
const parseOffer = (bytes: Buffer): Offer | undefined => {
  const ident = /(?:^|\n)SSH-[^\n]*\n/.exec(bytes.toString('latin1'))
  if (!ident) return undefined
  const packet = bytes.subarray(ident.index + ident[0].length)
  if (packet.length < 6) return undefined
  const end = 4 + packet.readUInt32BE(0)
  if (packet.length < end || packet[5] !== kexInit) return undefined
  const [kex, serverHostKey, cipher, , hmac] = readLists(packet.subarray(5, end - (packet[4] ?? 0)))
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
  let bytes = Buffer.alloc(0)
  let offer: Offer | undefined
  let over = false
  return {
    push: (chunk) => {
      if (over) return
      bytes = Buffer.concat([bytes, chunk])
      offer = parseOffer(bytes)
      over = offer !== undefined || bytes.length > maxBytes
      if (over) bytes = Buffer.alloc(0)
    },
    offer: () => offer,
  }
}
