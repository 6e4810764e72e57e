import type { ClientChannel } from 'ssh2'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { quoteCommand } from '../../core/shell-quote.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ExecOptions, ExecResult } from '../../ports/connector.ts'
import { guarded } from './guarded.ts'
import type { Link } from './link.ts'

const defaultMaxOutputBytes = 64 * 1024
/** A command that has exited may leave its channel open, for instance to a child in the background. */
const closeGraceMs = 5000

export interface Run {
  link: Link
  clock: Clock
  command: readonly string[]
  options: Pick<ExecOptions, 'deadlineMs' | 'maxOutputBytes'>
  signal: AbortSignal
  /** Writes standard input. The returned function stops it; called once, when the command is over. */
  feed: (channel: ClientChannel, fail: (error: unknown) => void) => () => void
}

const refused = (error: Error, where: string): ReflashError =>
  // ssh2 gives a reason number only where opening the channel failed: mostly a lack of memory or of processes.
  'reason' in error
    ? new ReflashError(
        'Busy',
        `${where} opens no channel for a command (${printable(messageOf(error), 200)})`,
        { cause: error },
      )
    : new ReflashError('Unsupported', `${where} refuses to run commands over SSH`, { cause: error })

/** Keeps what a channel says and how it ends. `onEnd` is called when nothing more can come. */
const watchChannel = (
  channel: ClientChannel,
  maxOutputBytes: number,
  on: { tooLarge: (stream: string) => void; exit: () => void; end: () => void },
) => {
  const result: ExecResult & { exited: boolean } = { code: null, stdout: '', stderr: '', exited: false }
  const isDrained = () => channel.readableEnded && channel.stderr.readableEnded
  let closed = false
  const checkEnd = () => {
    if (closed && isDrained()) on.end()
  }
  const collect = (stream: 'stdout' | 'stderr') => (chunk: Buffer) => {
    // Text, not slices: a slice of one byte would keep the whole packet alive.
    if (result[stream].length + chunk.length > maxOutputBytes) on.tooLarge(stream)
    else result[stream] += chunk.toString('latin1')
  }
  channel.on('data', collect('stdout'))
  channel.stderr.on('data', collect('stderr'))
  channel.stderr.on('end', checkEnd)
  channel.on('exit', (code: number | null, signal?: string) => {
    result.exited = true
    result.code = code
    if (signal !== undefined) result.signal = printable(signal, 32)
    on.exit()
  })
  channel.on('close', () => {
    closed = true
    checkEnd()
  })
  return { result, isComplete: () => result.exited && isDrained() }
}

/**
 * Runs one command to the close of its channel, or to 5 s after its exit. Whatever else ends it (deadline, abort, too
 * much output) takes the whole connection down: nothing half-done is left on it.
 */
export const runCommand = ({ link, clock, command, options, signal, feed }: Run): Promise<ExecResult> => {
  const commandLine = quoteCommand(command)
  const { deadlineMs, maxOutputBytes = defaultMaxOutputBytes } = options
  const name = printable(command[0] ?? '', 60)
  const late = () =>
    new ReflashError(
      'Timeout',
      `${name} on ${link.where} did not end within ${Math.round(deadlineMs / 1000)} s`,
      {
        cause: new Error('command deadline'),
      },
    )
  const breakOff = () =>
    link.destroy(
      new ReflashError('ConnectionLost', `${name} on ${link.where} was broken off`, {
        cause: new Error('broken off'),
      }),
    )

  return guarded({ clock, limitMs: deadlineMs, signal, late }, (resolve, reject) => {
    let clean = false
    let stopFeed: (() => void) | undefined
    let cancelGrace: (() => void) | undefined
    let isComplete = () => false
    let finish = () => {}
    const takeOffLost = link.onLost((error) => (isComplete() ? finish() : reject(error)))
    const takeDown = () => {
      takeOffLost()
      cancelGrace?.()
      stopFeed?.()
      if (!clean) breakOff()
    }
    const lost = link.lost()
    if (lost) {
      reject(lost)
      return takeDown
    }
    link.client.exec(commandLine, (error, channel) => {
      if (error) {
        clean = true
        return reject(link.lost() ?? refused(error, link.where))
      }
      // A channel may fail after its end, when nobody is interested any more.
      channel.on('error', () => {})
      channel.stderr.on('error', () => {})
      const watched = watchChannel(channel, maxOutputBytes, {
        tooLarge: (stream) => {
          const message = `${name} on ${link.where} wrote more than ${maxOutputBytes} bytes to ${stream}`
          reject(new ReflashError('OutputTooLarge', message, { cause: new Error('output limit') }))
          // Also when the result was handed out already: nobody else stops the flood.
          breakOff()
        },
        exit: () => {
          cancelGrace = clock.after(closeGraceMs, () => {
            channel.close()
            finish()
          })
        },
        end: () => finish(),
      })
      isComplete = watched.isComplete
      finish = () => {
        clean = true
        const { exited: _exited, ...result } = watched.result
        resolve(result)
      }
      stopFeed = feed(channel, reject)
    })
    return takeDown
  })
}
