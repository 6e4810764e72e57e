import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished } from 'vitest'
import { startServedApi, type ServedApi } from '../support/served-api.ts'
import { linesNotIn, type Transcript } from '../support/transcripts.ts'
import { until } from '../support/until.ts'

/** The service of the README as a page shows it: its places, where they are here, and what `systemctl` starts. */
export interface Service {
  /** Programs of the page: `reflash` is there already. */
  bin: string
  /** By the path that the page shows. */
  places: Readonly<Record<string, string>>
  flags: readonly string[]
  /** Whether it has been started before the first command. */
  isRunning: boolean
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const readLimitMs = 30_000
const userOfPage = '-o reflash '

export const placed = (text: string, { places }: Service): string =>
  Object.entries(places).reduce((rest, [shown, real]) => rest.replaceAll(shown, real), text)

/** Runs what a section shows, one command after the other, and compares what each prints; `before` some, the world moves. */
export async function play(
  transcripts: readonly Transcript[],
  service: Service,
  before: Readonly<Record<string, () => Promise<unknown>>> = {},
): Promise<void> {
  await writeFile(join(service.bin, 'reflash'), `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`, {
    mode: 0o755,
  })
  const waiting = new Set(Object.keys(before))
  let api: ServedApi | undefined
  onTestFinished(() => api?.stop())
  const systemctl = {
    start: async () => {
      api = await startServedApi(service)
    },
    stop: async () => {
      await api?.stop()
      api = undefined
    },
  }
  if (service.isRunning) await systemctl.start()
  for (const { command, lines } of transcripts) {
    await before[command]?.()
    waiting.delete(command)
    const verb = /^systemctl (start|stop) reflash$/.exec(command)?.[1] as 'start' | 'stop' | undefined
    if (verb) await systemctl[verb]()
    else await compare({ command, lines }, { service, server: api?.url ?? '' })
  }
  expect([...waiting], 'commands that the section does not have').toEqual([])
}

/** What reads is asked until it shows what the page says; anything else is done once. */
async function compare(
  { command, lines }: Transcript,
  { service, server }: { service: Service; server: string },
): Promise<void> {
  const wanted = lines.map((line) => placed(line, service))
  let said = ''
  const isShown = async (): Promise<boolean> => {
    said = await shell(placed(command, service).replace(userOfPage, ''), service.bin, server)
    return wanted.length === 0 ? said === '' : linesNotIn(said, wanted).length === 0
  }
  const limitMs = /^reflash (?:get|why|logs|events|describe) [^>]*$/.test(command) ? readLimitMs : 0
  await until(command, isShown, limitMs).catch(() => {
    expect(said, command).toBe(lines.join('\n'))
  })
}

const shell = (command: string, bin: string, server: string): Promise<string> =>
  new Promise((resolve) => {
    const env = {
      ...process.env,
      NO_COLOR: '1',
      PATH: [bin, process.env['PATH']].join(delimiter),
      REFLASH_SERVER: server,
    }
    execFile('sh', ['-c', command], { env }, (_, stdout, stderr) => resolve(stdout + stderr))
  })
