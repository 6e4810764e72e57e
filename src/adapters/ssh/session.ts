import type { ClientChannel } from 'ssh2'
import { ReflashError } from '../../core/errors.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Session } from '../../ports/connector.ts'
import type { Link } from './link.ts'
import { runCommand } from './run-command.ts'
import { sendContent, type Upload } from './upload.ts'

/** After the device stopped reading, its exit status says more than the broken pipe: it gets so long to arrive. */
const exitGraceMs = 5000

export interface SessionParts {
  link: Link
  clock: Clock
  address: string
  hostKeys: readonly string[]
  /** Ends what the link rests on: the connection to the jump host. */
  closeRoute: () => Promise<void>
}

type Streaming = Omit<Upload, 'channel' | 'over'>

const feedContent = (upload: Streaming) => (channel: ClientChannel, fail: (error: unknown) => void) => {
  const over = new AbortController()
  let cancelGrace: (() => void) | undefined
  // The image store and the bandwidth reject with errors of their own, which pass; a failed write is the device's doing.
  sendContent({ ...upload, channel, over: over.signal }).catch((error: unknown) => {
    if (over.signal.aborted) return
    if (error instanceof ReflashError || channel.writable) return fail(error)
    const message = `${upload.link.where} stopped taking the upload`
    cancelGrace = upload.clock.after(exitGraceMs, () =>
      fail(new ReflashError('ConnectionLost', message, { cause: error })),
    )
  })
  return () => {
    over.abort()
    cancelGrace?.()
  }
}

/** One authenticated connection as the port wants it. */
export const createSession = ({ link, clock, address, hostKeys, closeRoute }: SessionParts): Session => ({
  address,
  hostKeys,
  exec: (command, options, signal) =>
    runCommand({
      link,
      clock,
      command,
      options,
      signal,
      feed: (channel) => {
        channel.end(options.stdin)
        return () => {}
      },
    }),
  upload: async (command, content, options, signal) => {
    const { idleMs = 0, deadlineMs } = options
    const endPatience = link.bearSilence(idleMs)
    try {
      const feed = feedContent({ link, clock, content, options })
      return await runCommand({ link, clock, command, options: { deadlineMs }, signal, feed })
    } finally {
      endPatience()
    }
  },
  close: async () => {
    await link.close()
    await closeRoute()
  },
})
