import { ended, startReflash } from './cli.ts'
import { readLog, type ServedFleet } from './served-fleet.ts'
import { until } from './until.ts'

/** A `reflash run` that goes on, with its API on a free port of loopback. */
export interface ServedApi {
  url: string
  /** SIGTERM, and until it has ended. */
  stop(): Promise<void>
}

/** A process starts within a second, unless every processor is busy with other suites. */
const startLimitMs = 30_000

export async function startServedApi(
  fleet: Pick<ServedFleet, 'flags'>,
  ...flags: string[]
): Promise<ServedApi> {
  const child = startReflash(['run', ...fleet.flags, '--listen', '127.0.0.1:0', ...flags])
  const end = ended(child)
  let said = ''
  child.stderr!.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')))
  const isListening = () => {
    if (child.exitCode !== null) throw new Error(said)
    const whole = said.slice(0, said.lastIndexOf('\n') + 1)
    return readLog(whole).events.find((event) => event['reason'] === 'Listening')
  }
  const listening = await until('an API that listens', isListening, startLimitMs)
  return {
    url: String(listening['msg']),
    stop: async () => {
      child.kill('SIGTERM')
      await end
    },
  }
}
