import type { ClientChannel } from 'ssh2'
import { ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { UploadOptions } from '../../ports/connector.ts'
import { guarded } from './guarded.ts'
import type { Link } from './link.ts'

const defaultIdleMs = 60_000
/** Two SSH packets: enough to fill a segment train, little enough to share a cap fairly. */
const pieceBytes = 64 * 1024
const progressEveryMs = 300

export interface Upload {
  link: Link
  clock: Clock
  channel: ClientChannel
  content: AsyncIterable<Uint8Array>
  options: UploadOptions
  /** Aborted when the command is over, whatever the reason. */
  over: AbortSignal
}

const pieces = function* (chunk: Uint8Array): Iterable<Uint8Array> {
  for (let start = 0; start < chunk.length; start += pieceBytes)
    yield chunk.subarray(start, start + pieceBytes)
}

/** Resolves when the device's window and the socket have taken the piece. */
const send = ({ link, clock, channel, options, over }: Upload, piece: Uint8Array): Promise<void> => {
  const { idleMs = defaultIdleMs } = options
  const late = () =>
    new ReflashError(
      'Timeout',
      `${link.where} took no byte of the upload for ${Math.round(idleMs / 1000)} s`,
      {
        cause: new Error('idle limit'),
      },
    )
  return guarded({ clock, limitMs: idleMs, signal: over, late }, (resolve, reject) => {
    // ssh2 writes a packet in several parts and does not look whether the socket keeps up.
    const drained = () => resolve()
    link.stream.cork()
    channel.write(piece, (error) => {
      if (error) reject(error)
      else if (link.stream.writableNeedDrain) link.stream.once('drain', drained)
      else resolve()
    })
    link.stream.uncork()
    return () => link.stream.off('drain', drained)
  })
}

/** Calls on at most a few times a second, and for the last byte. */
const progressReporter = ({ clock, options }: Upload): ((sentBytes: number) => void) => {
  let nextMs = clock.monotonic()
  return (sentBytes) => {
    const nowMs = clock.monotonic()
    if (nowMs < nextMs && sentBytes < options.sizeBytes) return
    nextMs = nowMs + progressEveryMs
    options.onProgress?.(sentBytes)
  }
}

const wrongSize = (sizeBytes: number) =>
  new ReflashError('ImageInvalid', `the content to upload is not ${sizeBytes} bytes long, as announced`, {
    cause: new Error('size of the content'),
  })

/**
 * Streams the content into the command, one piece at a time, and ends its input. Rejects with the content's own error,
 * `Timeout` when the device takes nothing, `ImageInvalid` when the content is not as long as announced.
 */
export const sendContent = async (upload: Upload): Promise<void> => {
  const { channel, content, options, over } = upload
  const report = progressReporter(upload)
  let sentBytes = 0
  for await (const chunk of content) {
    for (const piece of pieces(chunk)) {
      over.throwIfAborted()
      if (sentBytes + piece.length > options.sizeBytes) throw wrongSize(options.sizeBytes)
      await options.throttle?.(piece.length, over)
      await send(upload, piece)
      sentBytes += piece.length
      report(sentBytes)
    }
  }
  over.throwIfAborted()
  if (sentBytes !== options.sizeBytes) throw wrongSize(options.sizeBytes)
  channel.end()
}
