import { ReflashError } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'

/** The other end of a body that is sent bit by bit. */
export interface TextStream {
  /** Resolves when somebody has taken the text, or the bytes. @throws ReflashError `Timeout` when nobody does for too long. */
  write(piece: string | Uint8Array): Promise<void>
  /** Aborted when the reader has gone, when the request is aborted, and when the stream is over. */
  readonly signal: AbortSignal
}

/** A reader that takes nothing for so long is cut off. */
const drainMs = 10_000

/**
 * A body that `produce` writes. It ends when that resolves; when that rejects it breaks off, unless the reader has gone,
 * who needs to be told nothing. `signal` is that of the request; `produce` may still write a last word after it.
 */
export function streamText(
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  produce: (stream: TextStream) => Promise<void>,
): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const over = new AbortController()
  const end = (): void => {
    signal.removeEventListener('abort', end)
    over.abort()
  }
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  writer.closed.then(end, end)
  const encoder = new TextEncoder()

  const write = async (piece: string | Uint8Array): Promise<void> => {
    const bytes = typeof piece === 'string' ? encoder.encode(piece) : piece
    const late = Promise.withResolvers<never>()
    const cancel = clock.after(drainMs, () =>
      late.reject(new ReflashError('Timeout', `nobody took what was sent for ${drainMs} ms`)),
    )
    try {
      await Promise.race([writer.write(bytes), late.promise])
    } finally {
      cancel()
    }
  }

  const run = async (): Promise<void> => {
    try {
      await produce({ write, signal: over.signal })
      await writer.close()
    } catch (error) {
      await writer.abort(error).catch(() => undefined)
    } finally {
      end()
    }
  }
  void run()
  return readable
}
