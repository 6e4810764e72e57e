import { Worker } from 'node:worker_threads'
import type { Clock } from '../../ports/clock.ts'
import { finding } from './diagnostic.ts'
import { brokenFile, parseFile, type ParsedFile } from './parse-file.ts'

/** Below it parsing takes a few hundredths of a second; a worker alone takes as long to start. */
const inlineBytes = 64 * 1024
const heapMegabytes = 256
const limitMs = 10_000

/**
 * Parses the bytes of one file; large ones in a thread of their own, with limits of memory and time.
 * Never rejects for what the bytes say, only with the signal's reason.
 */
export async function parseContent(
  bytes: Uint8Array,
  clock: Clock,
  signal?: AbortSignal,
): Promise<ParsedFile> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return brokenFile([finding('SyntaxError', 'is not UTF-8 text')])
  }
  return bytes.byteLength <= inlineBytes ? parseInline(text) : parseInWorker(text, clock, signal)
}

function parseInline(text: string): ParsedFile {
  try {
    return parseFile(text)
  } catch (error) {
    if (error instanceof RangeError) return brokenFile([finding('TooDeep', 'is nested too deep')])
    throw error
  }
}

/** Beside this file, under the name that it has where this one runs: as written, or as built. */
const workerUrl = import.meta.url.endsWith('.ts')
  ? new URL('./parse-worker.ts', import.meta.url)
  : new URL('./parse-worker.js', import.meta.url)

function parseInWorker(text: string, clock: Clock, signal?: AbortSignal): Promise<ParsedFile> {
  return new Promise<ParsedFile>((resolve, reject) => {
    signal?.throwIfAborted()
    const worker = new Worker(workerUrl, {
      workerData: text,
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
      // The parent's may belong to a test runner or a debugger.
      execArgv: [],
    })
    const end = (settle: () => void): void => {
      cancelTimer()
      signal?.removeEventListener('abort', abort)
      void worker.terminate()
      settle()
    }
    const abort = (): void => end(() => reject(signal?.reason as Error))
    const give = (file: ParsedFile): void => end(() => resolve(file))
    const cancelTimer = clock.after(limitMs, () =>
      give(brokenFile([finding('TimedOut', `took longer than ${limitMs / 1000} s to parse`)])),
    )
    signal?.addEventListener('abort', abort, { once: true })
    worker.once('message', give)
    worker.once('error', (error: Error & { code?: string }) => {
      const isTooLarge = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
      give(
        brokenFile([
          isTooLarge
            ? finding('TooLarge', `needs more than ${heapMegabytes} MiB of memory to parse`)
            : finding('TooDeep', 'is too large or too deep to parse'),
        ]),
      )
    })
  })
}
