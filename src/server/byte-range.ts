/** The bytes that are wanted, the last one included. */
export interface ByteRange {
  first: number
  last: number
}

/**
 * The one range of a Range header. `Whole` for a header that asks for several, for another unit, or that is malformed:
 * a server may ignore those. `Outside` where no byte of the file is in the range.
 */
export function readRange(header: string | undefined, sizeBytes: number): ByteRange | 'Whole' | 'Outside' {
  const { from, to } = /^bytes=(?<from>\d{0,15})-(?<to>\d{0,15})$/.exec(header?.trim() ?? '')?.groups ?? {}
  if (from === undefined || to === undefined || (from === '' && to === '')) return 'Whole'
  if (from === '') {
    const count = Math.min(Number(to), sizeBytes)
    return count === 0 ? 'Outside' : { first: sizeBytes - count, last: sizeBytes - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) return 'Whole'
  if (first >= sizeBytes) return 'Outside'
  return { first, last: to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1) }
}

/** The part of a file that is in a range; what comes after it is not read. */
export async function* bytesIn(
  content: AsyncIterable<Uint8Array>,
  { first, last }: ByteRange,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const chunk of content) {
    const part = chunk.subarray(Math.max(0, first - at), Math.max(0, last + 1 - at))
    at += chunk.length
    if (part.length > 0) yield part
    if (at > last) return
  }
}
