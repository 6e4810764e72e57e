import { createHash } from 'node:crypto'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { ExecResult, Session } from '../../ports/connector.ts'
import type { Job, Upgrader, UploadContext } from '../../ports/upgrader.ts'
import { readFrames, type Frames } from './answer.ts'
import { checkJob, memoryReserveBytes, optionArguments } from './checks.ts'
import { parseGuard } from './guard.ts'
import { classify } from './messages.ts'
import { memoryAvailable, parseProbe, tmpAvailable } from './probe.ts'
import { devicePaths, scriptCommand, scripts, uploadCommand, type ScriptName } from './scripts.ts'

/** The guard tests the image again, which takes a slow board a while. */
const guardMs = 60_000

/** Exit code of the upload script. */
const startUnderWay = 8

const busy = (): ReflashError => new ReflashError('Busy', 'an upgrade starts or runs on the device already')

interface Call {
  script: ScriptName
  args?: readonly string[]
  deadlineMs: number
}

const run = (
  session: Session,
  { script, args = [], deadlineMs }: Call,
  signal: AbortSignal,
): Promise<ExecResult> =>
  session.exec(scriptCommand(script, args), { stdin: scripts[script], deadlineMs }, signal)

async function ask(session: Session, call: Call, signal: AbortSignal): Promise<Frames> {
  const { stdout } = await run(session, call, signal)
  return readFrames(stdout)
}

/** Upgrades OpenWrt by sysupgrade, over nothing but a shell. */
export const openwrtUpgrader: Upgrader = {
  name: 'openwrt',

  async probe(session, { commandMs }, signal) {
    const { stdout } = await run(session, { script: 'probe', deadlineMs: commandMs }, signal)
    return parseProbe(stdout)
  },

  async check(job, probe) {
    checkJob(job, probe)
  },

  async upload(job, session, context, signal) {
    if (await makeRoom(job, session, signal)) return
    const result = await session.upload(
      uploadCommand(job.image.sha256),
      context.content(),
      {
        deadlineMs: job.timeouts.uploadMs,
        sizeBytes: job.image.sizeBytes,
        onProgress: context.onProgress,
        ...(context.throttle ? { throttle: context.throttle } : {}),
      },
      signal,
    )
    await confirmUpload(job, result, context, { session, signal })
  },

  async test(job, session, signal) {
    const frames = await ask(
      session,
      { script: 'test', args: optionArguments(job.options), deadlineMs: guardMs },
      signal,
    )
    const output = frames.get('output') ?? []
    for (const line of output) job.tell?.(`sysupgrade -T: ${line}`)
    if (frames.get('exit')?.[0] === '0') return
    // 12.09 cannot test; the boards were compared by us.
    if (output.some((line) => line.includes('Invalid option: -T'))) return
    const { code, line } = classify(output)
    throw new ReflashError(code, `sysupgrade refuses the image: ${line}`)
  },

  command: (job) => ['sysupgrade', ...optionArguments(job.options), devicePaths.image].join(' '),

  async start(job, token, session, signal) {
    const { bootId, board, revision, maxUptimeSeconds } = token
    const args = [job.operation, bootId, board, revision, job.image.sha256, String(maxUptimeSeconds)]
    try {
      const { stdout } = await run(
        session,
        { script: 'guard', args: [...args, ...optionArguments(job.options)], deadlineMs: guardMs },
        signal,
      )
      return parseGuard(stdout)
    } catch (error) {
      if (signal.aborted || !(error instanceof ReflashError)) throw error
      return { kind: 'Unknown', message: messageOf(error) }
    }
  },

  async log(job, session, signal) {
    const frames = await ask(session, { script: 'log', deadlineMs: job.timeouts.commandMs }, signal)
    return (frames.get('log') ?? []).slice(-40)
  },

  async abandon({ keepImage, commandMs }, session, signal) {
    const args = [keepImage ? 'yes' : 'no']
    const frames = await ask(session, { script: 'abandon', args, deadlineMs: commandMs }, signal)
    if (frames.has('busy')) throw busy()
  },

  async clearStart(job, token, session, signal) {
    const args = [job.operation, token.bootId, String(token.maxUptimeSeconds)]
    await ask(session, { script: 'clear', args, deadlineMs: job.timeouts.commandMs }, signal)
  },
}

/** Makes room for the image. Returns true when it is on the device already. @throws ReflashError `NoSpace`, `Busy`. */
async function makeRoom(job: Job, session: Session, signal: AbortSignal): Promise<boolean> {
  const deadlineMs = job.timeouts.commandMs
  let frames = await ask(session, { script: 'place', args: [job.image.sha256], deadlineMs }, signal)
  const state = frames.get('state')?.[0]
  if (state === 'busy') throw busy()
  if (state === 'present') {
    job.tell?.('the image is on the device already')
    return true
  }
  if (shortage(job, frames) && job.options.freeMemory !== false) {
    job.tell?.('stopping services to make room for the image')
    frames = await ask(session, { script: 'stop-services', deadlineMs }, signal)
  }
  const lacking = shortage(job, frames)
  if (lacking) throw new ReflashError('NoSpace', lacking)
  return false
}

/** What is missing for the image, in words; what the device does not say is not held against it. */
function shortage(job: Job, frames: Frames): string | undefined {
  const { sizeBytes } = job.image
  const memory = memoryAvailable(frames)
  const tmp = tmpAvailable(frames)
  if (memory !== undefined && memory < sizeBytes + memoryReserveBytes) {
    return `not enough memory: ${mebibytes(memory)} available, ${mebibytes(sizeBytes + memoryReserveBytes)} needed`
  }
  if (tmp !== undefined && tmp < sizeBytes) {
    return `not enough room in /tmp: ${mebibytes(tmp)} available, ${mebibytes(sizeBytes)} needed`
  }
  return undefined
}

const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`

async function md5Of(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('md5')
  for await (const chunk of content) hash.update(chunk)
  return hash.digest('hex')
}

/** Compares what arrived: by SHA-256 on the device, or by MD5 here where the device knows nothing better. */
async function confirmUpload(
  job: Job,
  result: ExecResult,
  { content }: UploadContext,
  { session, signal }: { session: Session; signal: AbortSignal },
): Promise<void> {
  if (result.code === startUnderWay) throw busy()
  if (result.code !== 0) {
    const said = printable(result.stderr.trim(), 200)
    throw /No space left|I\/O error|Out of memory/i.test(result.stderr) || result.code === 137
      ? new ReflashError(
          'NoSpace',
          `the device could not store the image: ${said || `exit code ${result.code}`}`,
        )
      : new ReflashError(
          'UploadFailed',
          `the upload ended with code ${result.code}: ${said || 'no reason given'}`,
        )
  }
  const frames = readFrames(result.stdout)
  const sha256 = frames.get('sha256')?.[0]
  if (sha256 === job.image.sha256) return
  if (sha256 !== undefined) {
    throw new ReflashError('UploadFailed', `the image arrived damaged: SHA-256 ${sha256} on the device`)
  }
  const md5 = await md5Of(content())
  if (frames.get('md5')?.[0] !== md5)
    throw new ReflashError('UploadFailed', 'the image arrived damaged: MD5 differs')
  const args = [md5, job.image.sha256]
  const adopted = await ask(session, { script: 'adopt', args, deadlineMs: job.timeouts.commandMs }, signal)
  if (adopted.has('busy')) throw busy()
}
