import { ReflashError } from '../core/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Session, UploadOptions } from '../ports/connector.ts'
import type { CommandResult, Link } from './router.ts'

/** A client notices a silent death by its keepalives: three, ten seconds apart, and the wait for the last. */
const keepaliveMs = 40_000
const defaultIdleMs = 60_000
const defaultOutputBytes = 64 * 1024
const progressIntervalMs = 250

interface Attempt {
  deadlineMs: number
  signal: AbortSignal
}

/** What the running command is told by its client. */
interface Control {
  readonly ended: boolean
  fail(error: unknown): void
  /** Called when it is over, one way or the other. */
  onEnd(listener: () => void): void
}

/** The client's half of a connection to a simulated router. */
export const createSession = (
  clock: Clock,
  { address, hostKeys, link }: { address: string; hostKeys: readonly string[]; link: Link },
): Session => {
  const lost = () => new ReflashError('ConnectionLost', `the connection to ${address} was lost`)

  /** Whatever ends a command first wins; any end but an answer ends the connection, too. */
  const attempt = ({ deadlineMs, signal }: Attempt, work: (control: Control) => Promise<CommandResult>) =>
    new Promise<CommandResult>((resolve, reject) => {
      let ended = false
      const cancels: (() => void)[] = []
      const finish = (settle: () => void) => {
        if (ended) return
        ended = true
        signal.removeEventListener('abort', onAbort)
        for (const cancel of cancels) cancel()
        settle()
      }
      const fail = (error: unknown) =>
        finish(() => {
          link.close()
          // An abort rejects with the caller's own reason.
          // oxlint-disable-next-line typescript/prefer-promise-reject-errors
          reject(error)
        })
      const onAbort = () => fail(signal.reason)
      if (signal.aborted) return onAbort()
      if (link.ended() === 'Closed') return fail(lost())
      signal.addEventListener('abort', onAbort)
      const late = `no answer from ${address} within ${deadlineMs} ms`
      cancels.push(clock.after(deadlineMs, () => fail(new ReflashError('Timeout', late))))
      link.onEnd((how) => {
        if (ended) return
        if (how === 'Closed') fail(lost())
        else cancels.push(clock.after(keepaliveMs, () => fail(lost())))
      })
      const control = {
        get ended() {
          return ended
        },
        fail,
        onEnd: (listener: () => void) => void cancels.push(listener),
      }
      work(control).then((result) => finish(() => resolve(result)), fail)
    })

  const capped = (result: CommandResult, maxBytes: number): CommandResult => {
    if (result.stdout.length <= maxBytes && result.stderr.length <= maxBytes) return result
    throw new ReflashError('OutputTooLarge', `${address} wrote more than ${maxBytes} bytes`)
  }

  return {
    address,
    hostKeys,
    exec: (command, { deadlineMs, stdin, maxOutputBytes = defaultOutputBytes }, signal) =>
      attempt({ deadlineMs, signal }, async () =>
        capped(await link.run(command, once(Buffer.from(stdin ?? ''))), maxOutputBytes),
      ),
    upload: (command, content, options, signal) =>
      attempt({ deadlineMs: options.deadlineMs, signal }, async (control) =>
        capped(
          await link.run(command, feed(clock, content, { ...options, signal, control })),
          defaultOutputBytes,
        ),
      ),
    close: async () => link.close(),
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}

/** Progress, throttle and idle watch around the content, chunk by chunk as the device takes them. */
const feed = (
  clock: Clock,
  content: AsyncIterable<Uint8Array>,
  options: UploadOptions & { signal: AbortSignal; control: Control },
): AsyncIterable<Uint8Array> => {
  const { control, signal, throttle, onProgress, idleMs = defaultIdleMs } = options

  const wrongSize = new ReflashError('ImageInvalid', `the content is not ${options.sizeBytes} bytes long`)

  async function* chunks(): AsyncGenerator<Uint8Array> {
    let sentBytes = 0
    let reportedMs = -Infinity
    for await (const chunk of content) {
      if (sentBytes + chunk.length > options.sizeBytes) throw wrongSize
      await throttle?.(chunk.length, signal)
      yield chunk
      sentBytes += chunk.length
      if (clock.monotonic() - reportedMs < progressIntervalMs && sentBytes < options.sizeBytes) continue
      reportedMs = clock.monotonic()
      onProgress?.(sentBytes)
    }
    if (sentBytes !== options.sizeBytes) throw wrongSize
  }

  const source = chunks()
  /** Runs from when the device has a chunk until it asks for the next one. */
  const watch = () =>
    clock.after(idleMs, () =>
      control.fail(new ReflashError('Timeout', `the device took no byte for ${idleMs} ms`)),
    )
  let stopWatch = watch()
  control.onEnd(() => {
    stopWatch()
    // A device that takes nothing more would keep the content open for ever.
    void source.return(undefined)
  })

  const next = async () => {
    stopWatch()
    const item = await source.next().catch((error: unknown) => {
      control.fail(error)
      throw error
    })
    // The command must not take an aborted upload for a whole one.
    if (control.ended) throw new ReflashError('ConnectionLost', 'the client has gone')
    stopWatch = watch()
    return item
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: () => source.return(undefined) }) }
}
