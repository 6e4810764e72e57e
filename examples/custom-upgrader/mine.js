// @ts-check
// An upgrader for a radio bridge that has two commands of its own: `fw-version` prints what it runs as key=value lines,
// `fw-apply FILE` writes an image and reboots a moment later, `fw-apply --check FILE` only tests it.
// Its home directory is in memory, so what is left there does not outlive a reboot.
import { ReflashError } from 'reflash'

/** @import { Session, Upgrader } from 'reflash' */

const image = 'firmware.img'
const lock = 'firmware.lock'
const log = 'firmware.log'

/** Compares and starts in one script, on the device: whoever comes late, twice or to another boot changes nothing. */
const guard = `
  now=$(fw-version) || exit 1
  field() { printf '%s\\n' "$now" | sed -n "s/^$1=//p"; }
  refuse() { echo "refused: $1"; exit 0; }
  [ "$(field boot)" = "$1" ] || refuse "boot $(field boot) is not the one that was decided on"
  [ "$(field model)" = "$2" ] || refuse "its model is $(field model)"
  [ "$(field uptime)" -le "$3" ] || refuse "the command came too late"
  [ "$(field busy)" = no ] || refuse "an upgrade is running"
  printf '%s  %s\\n' "$4" ${image} | sha256sum -c >/dev/null 2>&1 || refuse "the image has changed"
  mkdir ${lock} 2>/dev/null || refuse "another start holds the lock"
  if fw-apply ${image} >${log} 2>&1; then echo started; else rmdir ${lock}; refuse "$(tail -n 1 ${log})"; fi
`

/** @type {Upgrader} */
export const upgrader = {
  name: 'bridge',

  async probe(session, { commandMs }, signal) {
    const { stdout } = await session.exec(['fw-version'], { deadlineMs: commandMs }, signal)
    const fields = new Map(
      stdout.split('\n').map((line) => /** @type {[string, string]} */ (line.split(/=(.*)/s).slice(0, 2))),
    )
    /** @param {string} name */
    const field = (name) => {
      const value = fields.get(name)
      // Text of a device is hostile until it has been looked at: bounded, and nothing that steers a terminal.
      if (value !== undefined && /^[\x20-\x7e]{1,200}$/.test(value)) return value
      throw new ReflashError('ProbeInvalid', `fw-version says nothing usable about "${name}"`)
    }
    const uptimeSeconds = Number(field('uptime'))
    if (!Number.isSafeInteger(uptimeSeconds))
      throw new ReflashError('ProbeInvalid', 'its uptime is no number')
    return {
      osIdentifier: `bridge-os ${field('version')}`,
      release: { distribution: 'bridge-os', version: field('version') },
      board: field('model'),
      bootId: field('boot'),
      uptimeSeconds,
      identity: `serial=${field('serial')}`,
      upgrading: field('busy') !== 'no',
    }
  },

  async check(job, probe) {
    if (!job.image.boards.includes(probe.board)) {
      throw new ReflashError(
        'Rejected',
        `the image is for ${job.image.boards.join(', ')}, the device is ${probe.board}`,
      )
    }
    if (probe.upgrading) throw new ReflashError('Busy', 'an upgrade is running on the device already')
  },

  async upload(job, session, { content, onProgress, throttle }, signal) {
    const { sha256, sizeBytes } = job.image
    const { commandMs, uploadMs } = job.timeouts
    if ((await digest(session, commandMs, signal)) === sha256) return
    const { code, stderr } = await session.upload(
      ['sh', '-c', `cat >${image}`],
      content(),
      { deadlineMs: uploadMs, sizeBytes, onProgress, ...(throttle ? { throttle } : {}) },
      signal,
    )
    if (code !== 0)
      throw new ReflashError('UploadFailed', `the upload ended with code ${code}: ${shown(stderr)}`)
    if ((await digest(session, commandMs, signal)) !== sha256) {
      throw new ReflashError('UploadFailed', 'the image arrived damaged')
    }
  },

  async test(job, session, signal) {
    const options = { deadlineMs: job.timeouts.commandMs }
    const { code, stderr } = await session.exec(['fw-apply', '--check', image], options, signal)
    if (code !== 0) throw new ReflashError('Rejected', `fw-apply refuses the image: ${shown(stderr)}`)
  },

  command: () => `fw-apply ${image}`,

  async start(job, token, session, signal) {
    const command = [
      'sh',
      '-c',
      guard,
      'guard',
      token.bootId,
      token.board,
      `${token.maxUptimeSeconds}`,
      job.image.sha256,
    ]
    try {
      const { stdout } = await session.exec(command, { deadlineMs: job.timeouts.commandMs }, signal)
      if (stdout.trim() === 'started') return { kind: 'Started' }
      const why = /^refused: (.*)/.exec(stdout)?.[1]
      if (why === undefined) return { kind: 'Unknown', message: 'the device gave no answer that can be read' }
      return { kind: 'Refused', failureClass: 'NotStarted', recoverable: true, message: shown(why), log: [] }
    } catch (error) {
      if (signal.aborted || !(error instanceof ReflashError)) throw error
      // The link broke before the answer: it may have started, and only a later probe can tell.
      return { kind: 'Unknown', message: error.message }
    }
  },

  async log(job, session, signal) {
    const options = { deadlineMs: job.timeouts.commandMs }
    const { stdout } = await session.exec(['sh', '-c', `tail -n 40 ${log} 2>/dev/null`], options, signal)
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map(shown)
  },

  // What could not be reached is not undone, and has to throw: then Reflash looks at the device again.
  async abandon({ keepImage, commandMs }, session, signal) {
    const command = ['rm', '-rf', lock, ...(keepImage ? [] : [image])]
    await session.exec(command, { deadlineMs: commandMs }, signal)
  },

  async clearStart(job, token, session, signal) {
    // After another boot nothing of that start is left, and a lock would be somebody else's.
    const script = `[ "$(fw-version | sed -n 's/^boot=//p')" = "$1" ] && rm -rf ${lock} ${log}`
    const command = ['sh', '-c', script, 'clear', token.bootId]
    await session.exec(command, { deadlineMs: job.timeouts.commandMs }, signal)
  },
}

/**
 * SHA-256 of the image on the device; an empty text when there is none.
 * @param {Session} session
 * @param {number} commandMs
 * @param {AbortSignal} signal
 */
async function digest(session, commandMs, signal) {
  const { stdout } = await session.exec(['sha256sum', image], { deadlineMs: commandMs }, signal)
  return stdout.slice(0, 64)
}

/** @param {string} text */
const shown = (text) =>
  text
    .trim()
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 200) || 'no reason given'
