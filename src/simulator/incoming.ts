import { createHash } from 'node:crypto'
import type { Surroundings } from './command.ts'
import type { Machine, StoredFile, StoredFirmware } from './machine.ts'

/** Enough of either end of an image to find what it says of itself. */
const endBytes = 4096

const linePattern = /^REFLASH-TEST-IMAGE dist=(\S+) version=(\S+) revision=(\S+) /
const metadataPattern = /\{"metadata_version".*\}/

interface Metadata {
  compat_version: string
  supported_devices: string[]
  new_supported_devices?: string[]
}

/** Trusting, as only a stand-in may be: other images than those of `makeFirmware` count as no firmware. */
const firmwareOf = (head: string, tail: string): StoredFirmware | undefined => {
  const [, distribution, version, revision] = linePattern.exec(head) ?? []
  const [metadata] = metadataPattern.exec(tail) ?? []
  if (distribution === undefined || version === undefined || revision === undefined || metadata === undefined)
    return undefined
  const { compat_version, supported_devices, new_supported_devices } = JSON.parse(metadata) as Metadata
  return {
    release: { distribution, version, revision },
    boards: new_supported_devices ?? supported_devices,
    compatVersion: compat_version,
  }
}

/** A file that is being written: of its bytes only digests and both ends are kept. */
const createFile = () => {
  const sha256 = createHash('sha256')
  const md5 = createHash('md5')
  let head = ''
  let tail = ''
  let sizeBytes = 0
  return {
    sizeBytes: () => sizeBytes,
    append: (bytes: Uint8Array) => {
      sha256.update(bytes)
      md5.update(bytes)
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      if (head.length < endBytes) head += chunk.subarray(0, endBytes - head.length).toString('latin1')
      tail = (tail + chunk.subarray(-endBytes).toString('latin1')).slice(-endBytes)
      sizeBytes += bytes.length
    },
    close: (): StoredFile => ({
      sizeBytes,
      sha256: sha256.digest('hex'),
      md5: md5.digest('hex'),
      firmware: firmwareOf(head, tail),
    }),
  }
}

/** How the writing of a file in /tmp ended. */
export type Received =
  | { kind: 'Written'; file: StoredFile }
  | { kind: 'NoSpace' }
  | { kind: 'Killed' }
  /** The connection broke or went silent: whoever wrote has no answer to give. */
  | { kind: 'Cut' }

const damaged = (chunk: Uint8Array): Uint8Array => {
  const copy = Uint8Array.from(chunk)
  copy[0] = (copy[0] ?? 0) ^ 1
  return copy
}

/** Takes bytes as fast as the router does. Faults of uploads happen here. */
export const receive = async (
  machine: Machine,
  { stdin, cut }: Surroundings,
  roomBytes: number,
): Promise<Received> => {
  const { faults, clock, timings } = machine
  const cutAfter = faults.take('UploadCut')?.afterBytes ?? Infinity
  const stallAfter = faults.take('UploadStalled')?.afterBytes ?? Infinity
  const corrupted = faults.take('UploadCorrupted') !== undefined
  if (faults.take('OutOfMemory') !== undefined) return { kind: 'Killed' }
  if (faults.take('TmpFull') !== undefined) return { kind: 'NoSpace' }

  const { bootId } = machine.state
  const file = createFile()
  try {
    for await (const chunk of stdin) {
      const reachedBytes = file.sizeBytes() + chunk.length
      if (reachedBytes > roomBytes) return { kind: 'NoSpace' }
      if (reachedBytes > stallAfter) await new Promise(() => {})
      if (reachedBytes > cutAfter) {
        cut()
        return { kind: 'Cut' }
      }
      await clock.sleep((chunk.length / timings.uploadBytesPerSecond) * 1000)
      if (machine.state.bootId !== bootId || !machine.isReachable()) return { kind: 'Cut' }
      file.append(corrupted && file.sizeBytes() === 0 ? damaged(chunk) : chunk)
    }
  } catch {
    // The client has gone: no more will come.
    return { kind: 'Cut' }
  }
  return { kind: 'Written', file: file.close() }
}
