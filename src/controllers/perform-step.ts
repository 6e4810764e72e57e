import type { Device, DeviceStatus } from '../api/resources.ts'
import { withFailedProbe, withProbe } from '../core/device-facts.ts'
import { backoff, jittered } from '../core/backoff.ts'
import { parseDuration } from '../core/duration.ts'
import { hasCode, messageOf, ReflashError } from '../core/errors.ts'
import { isSameIdentity } from '../core/identity.ts'
import { keyOf } from '../core/keys.ts'
import { sameValue } from '../core/same-value.ts'
import { isRelease } from '../core/verdict.ts'
import { markerFellBack } from '../core/admit.ts'
import {
  flashedIdentity,
  isHandWritten,
  newLogLines,
  type Act,
  type Outcome,
  type Step,
} from '../core/operation.ts'
import type { Session } from '../ports/connector.ts'
import type { Job, Probe, Upgrader } from '../ports/upgrader.ts'
import { openSession, upgraderOf } from './device-session.ts'
import { withStanding } from './device-standing.ts'
import { deviceKeyOf } from './fleet.ts'
import { jobOf, settingsOf } from './operation-job.ts'
import type { OperationRun } from './operation-run.ts'
import {
  connectingWords,
  evidenceWords,
  factWords,
  say,
  silenceWords,
  startWords,
} from './operation-words.ts'
import { done, type Ports, type Requeue } from './ports.ts'

export type Performed = { outcome: Outcome } | { requeue: Requeue }

/** How long one knock waits: an address that is down often answers nothing. */
const knockLimitMs = 1000
const progressEveryMs = 200
/** How long a stopping process still talks to a device. */
const putBackMs = 3000

/** Does what a step says, once its status has been saved. */
export async function perform(step: Step, run: OperationRun, ports: Ports): Promise<Performed> {
  const { act } = step
  switch (act.kind) {
    case 'Claim':
      return { outcome: await claim(run, ports) }
    case 'Connect':
      return { outcome: await attempt(() => connect(run, ports), run) }
    case 'Check':
      return { outcome: await attempt(() => check(run, ports), run) }
    case 'Upload':
      return { outcome: await attempt(() => upload(run, ports), run) }
    case 'Test':
      return { outcome: await attempt(() => test(run, ports), run) }
    case 'Start':
      return { outcome: await start(act.token, run, ports) }
    case 'Knock':
      return { outcome: await knock(run, ports) }
    case 'Look':
      return { outcome: await look(run, ports) }
    case 'Release':
      return { requeue: await release(act, run, ports) }
    case 'Park':
      return { outcome: { kind: 'Parked', undone: await undo({ keepImage: true }, run, ports) } }
    case 'Wait':
      return { requeue: act.ms === undefined ? done : { after: act.ms } }
  }
}

/** Runs one step before the flash: what the outside world throws becomes data for the state machine. */
async function attempt(action: () => Promise<Outcome>, run: OperationRun): Promise<Outcome> {
  run.told = []
  try {
    return await action()
  } catch (error) {
    if (run.signal.aborted || !(error instanceof ReflashError)) throw error
    // A deadline or a lost link has ended the session; what is undone goes over a new one.
    if (hasCode(error, 'Timeout', 'ConnectionLost', 'OutputTooLarge', 'ImageInvalid', 'UploadFailed')) {
      await run.session?.close()
      run.session = undefined
    }
    return {
      kind: 'AttemptFailed',
      failureClass: error.failureClass ?? 'Unsupported',
      recoverable: error.recoverable,
      message: messageOf(error),
      log: run.told,
    }
  }
}

const deviceOf = (run: OperationRun): Device => {
  const device = run.device()
  if (!device) throw new ReflashError('NotFound', 'its device is gone')
  return device
}

const operationOf = (run: OperationRun) => {
  const operation = run.current()
  if (!operation) throw new ReflashError('NotFound', 'the operation is gone')
  return operation
}

/** What the upgrader is told, and a way for it to tell what it does. */
const tellingJobOf = (run: OperationRun, ports: Ports): Job => ({
  ...jobOf(operationOf(run), ports),
  tell: (line) => {
    run.told.push(line)
    say(line, run, ports)
  },
})

/** A device is written for other reasons as well, such as a probe that has just ended. */
const claimTries = 3

/** Takes the device by compare-and-swap: of two operations one loses. */
async function claim(run: OperationRun, ports: Ports): Promise<Outcome> {
  const operation = operationOf(run)
  const { name } = operation.metadata
  try {
    for (let tries = 1; ; tries += 1) {
      const device = deviceOf(run)
      const holder = device.status.operationRef?.name
      if (holder !== undefined) throw new ReflashError('Conflict', `claimed by ${holder}`)
      const claimed = { ...device, status: { ...device.status, operationRef: { name } } }
      try {
        await ports.store.saveStatus({ ...claimed, status: withStanding(claimed, ports) })
        return { kind: 'Claimed' }
      } catch (error) {
        if (!hasCode(error, 'Conflict') || tries === claimTries) throw error
      }
    }
  } catch (error) {
    ports.fleet.releaseSlot(operation)
    if (hasCode(error, 'Conflict') && run.device()?.status.operationRef?.name === operation.metadata.name)
      run.lose('has its device claimed by somebody else')
    if (hasCode(error, 'Conflict', 'NotFound')) return { kind: 'ClaimLost', message: messageOf(error) }
    throw error
  }
}

const openOwnSession = (device: Device, deadlineMs: number, run: OperationRun, ports: Ports) =>
  openSession(device, { deadlineMs, urgent: true }, ports, run.signal)

async function connect(run: OperationRun, ports: Ports): Promise<Outcome> {
  const device = deviceOf(run)
  say(connectingWords(device), run, ports)
  run.session = await openOwnSession(device, settingsOf(operationOf(run), ports).connectMs, run, ports)
  say(`connected to ${run.session.address}`, run, ports)
  return { kind: 'Connected' }
}

async function check(run: OperationRun, ports: Ports): Promise<Outcome> {
  const device = deviceOf(run)
  const operation = operationOf(run)
  const upgrader = upgraderOf(device, ports)
  const { commandMs } = settingsOf(operation, ports)
  const facts = await upgrader.probe(run.session!, { commandMs }, run.signal)
  run.probe = { facts, at: ports.clock.monotonic() }
  say(factWords(facts), run, ports)
  if (device.status.identity !== undefined && !isSameIdentity(facts.identity, device.status.identity)) {
    throw new ReflashError(
      'IdentityChanged',
      `another device answers at ${run.session!.address}: ${facts.identity} instead of ${device.status.identity}`,
    )
  }
  // Told to start in this very boot, it cannot run the target yet, whatever it says.
  const isTold = facts.bootId === operation.status.bootIdBefore
  if (!isTold && isRelease(facts, operation.status.to ?? {})) return { kind: 'AlreadyOnTarget', probe: facts }
  const name = operation.metadata.name
  if (
    markerFellBack(
      facts.lastFlash,
      facts.bootId,
      isHandWritten(operation) ? name : name.slice(0, name.lastIndexOf('-')),
    )
  ) {
    return {
      kind: 'AttemptFailed',
      failureClass: 'RolledBack',
      recoverable: false,
      message: `the device's own marker says that operation ${facts.lastFlash!.operation} flashed it already, and it fell back`,
    }
  }
  await upgrader.check(tellingJobOf(run, ports), facts, run.signal)
  say('the checks before the upload have passed', run, ports)
  return { kind: 'Checked' }
}

/** The bytes of the image; `onLacking` hears when the cache turns out not to have them any more. */
async function* contentOf(
  job: Job,
  run: OperationRun,
  ports: Ports,
  onLacking: (error: ReflashError) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* ports.images.open(job.image.sha256, run.signal)
  } catch (error) {
    if (error instanceof ReflashError && hasCode(error, 'NotFound', 'ImageInvalid')) onLacking(error)
    throw error
  }
}

async function upload(run: OperationRun, ports: Ports): Promise<Outcome> {
  const operation = operationOf(run)
  const device = deviceOf(run)
  const job = tellingJobOf(run, ports)
  const gate = ports.uploads.of(...settingsOf(operation, ports).uploadGate)
  const leave = await gate.enter(run.signal, {
    // Nobody else may start as long as this one holds a start.
    first: run.heldStart !== undefined,
    onWait: () => say('waiting: as many images are being uploaded as the policy allows', run, ports),
  })
  let lacking: ReflashError | undefined
  try {
    let announcedAt = -Infinity
    await upgraderOf(device, ports).upload(
      job,
      run.session!,
      {
        content: () =>
          contentOf(job, run, ports, (error) => {
            lacking = error
          }),
        ...(gate.throttle ? { throttle: gate.throttle } : {}),
        onProgress: (sentBytes) => {
          const now = ports.clock.monotonic()
          const total = job.image.sizeBytes
          if (now - announcedAt < progressEveryMs && sentBytes < total) return
          announcedAt = now
          const percent = Math.min(100, Math.floor((100 * sentBytes) / total))
          const latest = operationOf(run)
          run.keep({
            ...latest,
            status: { ...latest.status, progress: { percent, bytesSent: sentBytes, bytesTotal: total } },
          })
          ports.events.emit({
            type: 'Progress',
            operation: run.key,
            device: keyOf(device),
            percent,
            sentBytes,
            totalBytes: total,
          })
        },
      },
      run.signal,
    )
    say(`the image of ${job.image.sizeBytes} bytes is on the device, its digest compared there`, run, ports)
    return { kind: 'Uploaded' }
  } catch (error) {
    if (run.signal.aborted || !lacking) throw error
    // The upload was cut short.
    await run.session?.close()
    run.session = undefined
    ports.fleet.noteFetched({ ...run.key, name: operation.status.image!.name }, undefined)
    return { kind: 'ImageMissing', message: messageOf(lacking) }
  } finally {
    leave()
  }
}

async function test(run: OperationRun, ports: Ports): Promise<Outcome> {
  const upgrader = upgraderOf(deviceOf(run), ports)
  const job = tellingJobOf(run, ports)
  await upgrader.test(job, run.session!, run.signal)
  say('the device accepts the image with the options of the real run', run, ports)
  const { facts, at } = run.probe!
  return {
    kind: 'Tested',
    command: upgrader.command(job),
    bootId: facts.bootId,
    uptimeSeconds: facts.uptimeSeconds + (ports.clock.monotonic() - at) / 1000,
  }
}

/** Sends the guard. From here on the outcome is only a hint: what happened is read from the device later. */
async function start(
  { bootId, maxUptimeSeconds }: { bootId: string; maxUptimeSeconds: number },
  run: OperationRun,
  ports: Ports,
): Promise<Outcome> {
  const facts = run.probe!.facts
  const token = { bootId, board: facts.board, revision: facts.release.revision ?? '', maxUptimeSeconds }
  const result = await upgraderOf(deviceOf(run), ports).start(
    tellingJobOf(run, ports),
    token,
    run.session!,
    run.signal,
  )
  say(startWords(result), run, ports)
  if (result.kind === 'Refused') for (const line of result.log) say(line, run, ports)
  if (result.kind !== 'Refused') {
    await run.session?.close()
    run.session = undefined
  }
  return { kind: 'Start', result }
}

async function knock(run: OperationRun, ports: Ports): Promise<Outcome> {
  const { connector, clock } = ports
  const device = run.device()
  if (!device) return { kind: 'Knocked', answered: false, tookMs: 0 }
  const { addresses, port, jumpHost } = device.spec
  if (jumpHost) return { kind: 'Knocked', answered: true, tookMs: 0 }
  const before = clock.monotonic()
  const answered = (await connector.knock({ addresses, port }, knockLimitMs, run.signal)) ?? true
  const operation = run.current()
  if (!answered && operation)
    say(silenceWords(operation, settingsOf(operation, ports).rebootMs, clock.now()), run, ports)
  return { kind: 'Knocked', answered, tookMs: clock.monotonic() - before }
}

/** Reads what the device is now, over a new connection. */
async function look(run: OperationRun, ports: Ports): Promise<Outcome> {
  const device = run.device()
  if (!device) return { kind: 'LookFailed', message: 'its device was removed', tookMs: 0 }
  const before = ports.clock.monotonic()
  const settings = settingsOf(operationOf(run), ports)
  try {
    await run.session?.close()
    run.session = await openOwnSession(device, settings.connectMs, run, ports)
    const upgrader = upgraderOf(device, ports)
    const facts = await upgrader.probe(run.session, { commandMs: settings.commandMs }, run.signal)
    run.probe = { facts, at: ports.clock.monotonic() }
    const operation = operationOf(run)
    say(evidenceWords(facts, operation, flashedIdentity(operation, device.status.identity)), run, ports)
    const sameBoot = facts.bootId === operation.status.bootIdBefore
    // The log is kept in memory on the device: after a reboot there is none.
    const log = sameBoot ? await upgrader.log(jobOf(operation, ports), run.session, run.signal) : []
    for (const line of newLogLines(operation, log)) say(line, run, ports)
    return { kind: 'Looked', probe: facts, log }
  } catch (error) {
    if (run.signal.aborted || !(error instanceof ReflashError)) throw error
    return { kind: 'LookFailed', message: messageOf(error), tookMs: ports.clock.monotonic() - before }
  }
}

/**
 * Undoes what was done on the device before a flash, as far as it can be reached; a later probe finds what is left.
 * Returns whether there is nothing left to undo.
 */
async function undo(
  { keepImage }: { keepImage: boolean },
  run: OperationRun,
  ports: Ports,
): Promise<boolean> {
  const operation = operationOf(run)
  if (!run.session && operation.status.times?.Uploading === undefined) return true
  const { commandMs } = settingsOf(operation, ports)
  return tryToUndo('what was prepared on the device', run, ports, (upgrader, session) =>
    upgrader.abandon({ keepImage, commandMs }, session, run.signal),
  )
}

/** The same of a start that came to nothing. */
async function clearStart(run: OperationRun, ports: Ports): Promise<boolean> {
  const operation = operationOf(run)
  const { bootIdBefore = '', maxUptime = 0 } = operation.status
  const facts = run.probe!.facts
  const token = { bootId: bootIdBefore, board: facts.board, revision: '', maxUptimeSeconds: maxUptime }
  return tryToUndo('the start that came to nothing', run, ports, (upgrader, session) =>
    upgrader.clearStart(jobOf(operation, ports), token, session, run.signal),
  )
}

/** Over the session at hand, or a new one. Returns whether it is known to be undone. */
async function tryToUndo(
  what: string,
  run: OperationRun,
  ports: Ports,
  undoes: (upgrader: Upgrader, session: Session) => Promise<void>,
): Promise<boolean> {
  const device = run.device()
  if (!device) return true
  try {
    run.session ??= await openOwnSession(device, settingsOf(operationOf(run), ports).connectMs, run, ports)
    await undoes(upgraderOf(device, ports), run.session)
    say(`${what} is undone`, run, ports)
    return true
  } catch (error) {
    if (run.signal.aborted || !(error instanceof ReflashError)) throw error
    say(`${what} is not undone yet: ${messageOf(error)}`, run, ports)
    // Its link may be gone: the next try goes over a new one.
    await run.session?.close()
    run.session = undefined
    return false
  }
}

/** A stopping process leaves no device without its services: tried over a new session, for a few seconds at most. */
export async function putBackAtExit(run: OperationRun, ports: Ports): Promise<void> {
  const device = run.device()
  const phase = run.phase()
  if (!device || (phase !== 'Uploading' && phase !== 'Testing')) return
  const deadline = new AbortController()
  const cancel = ports.clock.after(putBackMs, () => deadline.abort(new DOMException('stopped', 'AbortError')))
  try {
    const session = await openSession(device, { deadlineMs: putBackMs, urgent: true }, ports, deadline.signal)
    try {
      await upgraderOf(device, ports).abandon(
        { keepImage: true, commandMs: putBackMs },
        session,
        deadline.signal,
      )
    } finally {
      await session.close()
    }
  } catch {
    // The next run finds what is left by its first probe.
  } finally {
    cancel()
  }
}

async function release(act: Act & { kind: 'Release' }, run: OperationRun, ports: Ports): Promise<Requeue> {
  const isCleared = !act.startedToNothing || (await clearStart(run, ports))
  const isPutBack = !act.undo || (await undo({ keepImage: act.again !== undefined }, run, ports))
  // Services may be stopped: not to be left until the next probe is due.
  if (!isCleared || !isPutBack) ports.fleet.wantProbe(deviceKeyOf(operationOf(run)))
  // Whoever has the device next should not find us there.
  await run.session?.close()
  await freeDevice(act, run, ports)
  return act.again === undefined ? done : { after: act.again }
}

/**
 * Gives the claim back, with what this run has learned of the device and where that leaves it. Retried on conflict: the
 * claim is ours to free.
 */
async function freeDevice(act: Act & { kind: 'Release' }, run: OperationRun, ports: Ports): Promise<void> {
  for (;;) {
    const device = run.device()
    if (!device) return
    const freed = { ...device, status: learned(device, act, run, ports) }
    if (device.status.operationRef?.name === run.key.name) delete freed.status.operationRef
    const status = withStanding(freed, ports)
    // One that never had it, and has learned nothing, leaves it as it is.
    if (sameValue(status, device.status)) return
    try {
      await ports.store.saveStatus({ ...device, status })
      return
    } catch (error) {
      if (hasCode(error, 'NotFound')) return
      if (!hasCode(error, 'Conflict')) throw error
    }
  }
}

function learned(
  device: Device,
  act: Act & { kind: 'Release' },
  run: OperationRun,
  ports: Ports,
): DeviceStatus {
  const { clock, random, settings } = ports
  const now = clock.now()
  if (act.unreachable) {
    const offline = settingsOf(run.current(), ports).offline
    const nextProbeMs = backoff({
      attempt: (device.status.failedProbes ?? 0) + 1,
      baseMs: parseDuration(offline.recheck),
      maxMs: parseDuration(offline.maxRecheck),
      random01: random(),
    })
    const message = run.current()?.status.message ?? 'does not answer'
    return withFailedProbe(device, { message }, { now, nextProbeMs })
  }
  const facts: Probe | undefined = act.probe
  if (!facts) return { ...device.status }
  return withProbe(device, facts, {
    hostKeys: run.session?.hostKeys ?? [],
    now,
    nextProbeMs: jittered(settings.probeIntervalMs, 0.1, random()),
  })
}
