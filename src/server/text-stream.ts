import { ReflashError } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import { limits } from './limits.ts'

/** The other end of a body that is sent bit by bit. */
export interface TextStream {
  /** Resolves when somebody has taken the text, or the bytes. @throws ReflashError `Timeout` when nobody does for too long. */
  write(piece: string | Uint8Array): Promise<void>
  /** Aborted when the reader has gone, when the request is aborted, and when the stream is over. */
  readonly signal: AbortSignal
}

const { drainMs } = limits
/** What is sent at once: it is in memory, for each reader, until it is taken. */
const pieceBytes = 32 * 1024
const encoder = new TextEncoder()

/** For answers with such a body. Unless told so, the server waits for an early end, and keeps what it has read by then. */
export const streamHeaders = { 'Transfer-Encoding': 'chunked' } as const

/**
 * A body that `produce` writes. It ends when that resolves; when that rejects it breaks off, unless the reader has gone,
 * who needs to be told nothing. `signal` is that of the request; `produce` may still write a last word after it.
 */
export function streamText(
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  produce: (stream: TextStream) => Promise<void>,
): ReadableStream<Uint8Array> {
  const over = new AbortController()
  const end = (): void => {
    signal.removeEventListener('abort', end)
    over.abort()
  }
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()

  let wanted = Promise.withResolvers<void>()
  let controller!: ReadableStreamDefaultController<Uint8Array>
  const readable = new ReadableStream<Uint8Array>(
    {
      start: (given) => void (controller = given),
      pull: () => wanted.resolve(),
      cancel(reason) {
        wanted.promise.catch(() => undefined)
        wanted.reject(reason)
        end()
      },
    },
    // Nothing is made before somebody asks for it.
    { highWaterMark: 0 },
  )

  const writePiece = async (bytes: Uint8Array): Promise<void> => {
    const cancel = clock.after(drainMs, () =>
      wanted.reject(new ReflashError('Timeout', `nobody took what was sent for ${drainMs} ms`)),
    )
    try {
      await wanted.promise
    } finally {
      cancel()
    }
    wanted = Promise.withResolvers()
    controller.enqueue(bytes)
  }

  const write = async (piece: string | Uint8Array): Promise<void> => {
    if (typeof piece !== 'string') return writePiece(piece)
    for (const bytes of inPieces(piece)) await writePiece(bytes)
  }

  const run = async (): Promise<void> => {
    try {
      await produce({ write, signal: over.signal })
      controller.close()
    } catch (error) {
      controller.error(error)
    } finally {
      end()
    }
  }
  void run()
  return readable
}

function* inPieces(text: string): Generator<Uint8Array> {
  let rest = text
  while (rest !== '') {
    // No character takes more than three bytes for each of its units.
    const bytes = new Uint8Array(Math.min(pieceBytes, rest.length * 3))
    const { read, written } = encoder.encodeInto(rest, bytes)
    yield bytes.subarray(0, written)
    rest = rest.slice(read)
  }
}
