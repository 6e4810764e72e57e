import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultPolicySettings } from '../../src/api/defaults.ts'
import type {
  FailureClass,
  Phase,
  UpgradeOperation,
  UpgradeOperationStatus,
} from '../../src/api/resources.ts'
import { phases } from '../../src/api/schemas/upgrade-operation.ts'
import type { Admission } from '../../src/core/admit.ts'
import {
  holdsSlot,
  isFinished,
  isFlashing,
  isHandWritten,
  isLost,
  lostWatchMs,
  nextStep,
  waitsForTurn,
  type Act,
  type CancelWish,
  type OperationWorld,
  type Outcome,
  type Step,
} from '../../src/core/operation.ts'
import type { Probe } from '../../src/core/probe.ts'
import { sameValue } from '../../src/core/same-value.ts'
import { transitions } from '../../src/core/transitions.ts'
import { at, condition, digest, now, operation } from '../support/core-objects.ts'

const probe = (changes: Partial<Probe> = {}): Probe => ({
  osIdentifier: 'Toy 1.0.0',
  release: { revision: 'r1', version: '1.0.0' },
  board: 'toy',
  bootId: 'boot-1',
  uptimeSeconds: 500,
  identity: '02:00:00:00:00:01',
  upgrading: false,
  ...changes,
})
const onTarget = { osIdentifier: 'Toy 2.0.0', release: { revision: 'r2', version: '2.0.0' } }
const admitted: Admission = { admitted: true, checks: [] }
const refused = (reason = 'PolicyPaused', until?: number): Admission => ({
  admitted: false,
  checks: [],
  blocked: { reason, message: `because of ${reason}`, ...(until === undefined ? {} : { until: at(until) }) },
})
const wish: CancelWish = { reason: 'CancelRequested', message: 'cancelled by spec.cancel' }

const world = (changes: Partial<OperationWorld> = {}): OperationWorld => ({
  claim: 'Mine',
  admission: admitted,
  hasSession: true,
  target: {
    image: { name: 'image', sha256: digest, size: 1000 },
    to: { build: 'new', osIdentifier: 'Toy 2.0.0', revision: 'r2' },
  },
  hasImage: true,
  from: { build: 'old', osIdentifier: 'Toy 1.0.0', revision: 'r1', board: 'toy' },
  identity: '02:00:00:00:00:01',
  settings: defaultPolicySettings,
  watchedMs: 60_000,
  answeredSinceLost: false,
  random01: 0.5,
  ...changes,
})

/** An operation as it stands in a phase, a minute after it came there. */
const inPhase = (phase: Phase, status: UpgradeOperationStatus = {}): UpgradeOperation =>
  operation('ap-1-abc-1', {
    phase,
    attempts: phase === 'Queued' ? 0 : 1,
    from: world().from,
    to: world().target!.to,
    image: world().target!.image,
    times: { Queued: at(now - 120_000), Connecting: at(now - 90_000), [phase]: at(now - 60_000) },
    ...(isFlashing(phase)
      ? {
          bootIdBefore: 'boot-1',
          maxUptime: 590,
          command: 'sysupgrade',
          times: { Flashing: at(now - 60_000), [phase]: at(now - 60_000) },
        }
      : {}),
    ...status,
  })
const lost = inPhase('Failed', {
  failureClass: 'Lost',
  bootIdBefore: 'boot-1',
  maxUptime: 590,
  times: { Flashing: at(now - 3600_000), Failed: at(now - 1800_000) },
})

interface Row {
  says: string
  from: UpgradeOperation
  world?: Partial<OperationWorld>
  to: Phase
  act: Act['kind']
  durable: boolean
  failureClass?: FailureClass
  reason?: string
  message?: RegExp
}

const after = (outcome: Outcome, more: Partial<OperationWorld> = {}): Partial<OperationWorld> => ({
  outcome,
  ...more,
})
const failedAttempt = (failureClass: FailureClass, recoverable: boolean): Outcome => ({
  kind: 'AttemptFailed',
  failureClass,
  recoverable,
  message: 'what went wrong',
})
const tested: Outcome = {
  kind: 'Tested',
  command: 'sysupgrade -v /tmp/x',
  bootId: 'boot-1',
  uptimeSeconds: 500.2,
}
const looked = (changes: Partial<Probe>): Outcome => ({
  kind: 'Looked',
  probe: probe(changes),
  log: ['a line'],
})
const settings = (changes: object): OperationWorld['settings'] =>
  Object.fromEntries(
    Object.entries(defaultPolicySettings).map(([name, part]) => [
      name,
      { ...part, ...(changes as Record<string, object>)[name] },
    ]),
  ) as OperationWorld['settings']

const rows: Row[] = [
  {
    says: 'a free slot: claim',
    from: inPhase('Queued'),
    world: { claim: 'None' },
    to: 'Queued',
    act: 'Claim',
    durable: false,
  },
  {
    says: 'claimed just now: begin',
    from: inPhase('Queued'),
    world: after({ kind: 'Claimed' }, { hasSession: false }),
    to: 'Connecting',
    act: 'Connect',
    durable: true,
    message: /^attempt 1$/,
  },
  {
    says: 'claimed just now, blocked just now: begin, the second admission holds it',
    from: inPhase('Queued'),
    world: after({ kind: 'Claimed' }, { admission: refused() }),
    to: 'Connecting',
    act: 'Connect',
    durable: true,
  },
  {
    says: 'a claim found after a restart, admitted',
    from: inPhase('Queued'),
    world: {},
    to: 'Connecting',
    act: 'Connect',
    durable: true,
  },
  {
    says: 'a claim found after a restart, blocked: give it back',
    from: inPhase('Queued'),
    world: { admission: refused('WaitingForSlot') },
    to: 'Queued',
    act: 'Release',
    durable: false,
    reason: 'WaitingForSlot',
  },
  {
    says: 'a claim found after a restart before its time: give it back',
    from: inPhase('Queued', { retryTime: at(now + 5000) }),
    to: 'Queued',
    act: 'Release',
    durable: false,
  },
  {
    says: 'claimed by another',
    from: inPhase('Queued'),
    world: { claim: 'Other' },
    to: 'Queued',
    act: 'Wait',
    durable: false,
    message: /another operation has claimed the device/,
  },
  {
    says: 'the claim was lost',
    from: inPhase('Queued'),
    world: after({ kind: 'ClaimLost', message: 'x' }, { claim: 'None' }),
    to: 'Queued',
    act: 'Wait',
    durable: false,
    message: /another operation has claimed/,
  },
  {
    says: 'blocked',
    from: inPhase('Queued'),
    world: { claim: 'None', admission: refused() },
    to: 'Queued',
    act: 'Wait',
    durable: false,
    reason: 'PolicyPaused',
    message: /because of PolicyPaused/,
  },
  {
    says: 'no image yet',
    from: inPhase('Queued'),
    world: { claim: 'None', target: undefined },
    to: 'Queued',
    act: 'Wait',
    durable: false,
    message: /its image is not Ready/,
  },
  {
    says: 'a wish to cancel',
    from: inPhase('Queued'),
    world: { claim: 'None', cancel: wish },
    to: 'Cancelled',
    act: 'Release',
    durable: true,
    reason: 'CancelRequested',
  },
  {
    says: 'offline for too long',
    from: inPhase('Queued', { waitingSince: at(now - 7200_000) }),
    world: {
      claim: 'None',
      admission: refused('Unreachable'),
      settings: settings({ offline: { expireAfter: '1h' } }),
    },
    to: 'Failed',
    act: 'Release',
    durable: true,
    failureClass: 'Unreachable',
    message: /has not answered since/,
  },
  {
    says: 'once offline, now waiting for a slot',
    from: inPhase('Queued', { waitingSince: at(now - 7200_000) }),
    world: {
      claim: 'None',
      admission: refused('WaitingForSlot'),
      settings: settings({ offline: { expireAfter: '1h' } }),
    },
    to: 'Queued',
    act: 'Wait',
    durable: false,
    reason: 'WaitingForSlot',
  },

  {
    says: 'connected',
    from: inPhase('Connecting', { waitingSince: at(now - 7200_000) }),
    world: after({ kind: 'Connected' }),
    to: 'Checking',
    act: 'Check',
    durable: false,
  },
  {
    says: 'checked',
    from: inPhase('Checking'),
    world: after({ kind: 'Checked' }),
    to: 'Uploading',
    act: 'Upload',
    durable: false,
  },
  {
    says: 'already there',
    from: inPhase('Checking'),
    world: after({ kind: 'AlreadyOnTarget', probe: probe(onTarget) }),
    to: 'Succeeded',
    act: 'Release',
    durable: true,
    reason: 'AlreadyOnTarget',
    message: /already runs Toy 2\.0\.0; nothing was flashed/,
  },
  {
    says: 'uploaded',
    from: inPhase('Uploading'),
    world: after({ kind: 'Uploaded' }),
    to: 'Testing',
    act: 'Test',
    durable: false,
  },
  {
    says: 'tested and admitted: the intent',
    from: inPhase('Testing'),
    world: after(tested),
    to: 'Flashing',
    act: 'Start',
    durable: true,
    message: /^starting: sysupgrade -v/,
  },
  {
    says: 'tested and not admitted: park',
    from: inPhase('Testing'),
    world: after(tested, { admission: refused() }),
    to: 'Testing',
    act: 'Park',
    durable: false,
  },
  {
    says: 'parked',
    from: inPhase('Testing'),
    world: after({ kind: 'Parked', undone: true }, { admission: refused() }),
    to: 'Testing',
    act: 'Wait',
    durable: false,
    reason: 'PolicyPaused',
  },
  {
    says: 'parked, and allowed by now',
    from: inPhase('Testing'),
    world: after({ kind: 'Parked', undone: true }),
    to: 'Testing',
    act: 'Wait',
    durable: false,
  },
  {
    says: 'not quite parked: tried again',
    from: inPhase('Testing'),
    world: after({ kind: 'Parked', undone: false }, { admission: refused() }),
    to: 'Testing',
    act: 'Wait',
    durable: false,
  },
  {
    says: 'parked already: the device is left in peace',
    from: inPhase('Testing', { reason: 'PolicyPaused' }),
    world: { hasSession: false, admission: refused() },
    to: 'Testing',
    act: 'Wait',
    durable: false,
    reason: 'PolicyPaused',
  },
  {
    says: 'found in Testing after a restart, not admitted',
    from: inPhase('Testing'),
    world: { hasSession: false, admission: refused() },
    to: 'Testing',
    act: 'Park',
    durable: false,
  },
  {
    says: 'parked, and admitted again',
    from: inPhase('Testing', { reason: 'PolicyPaused' }),
    world: { hasSession: false },
    to: 'Connecting',
    act: 'Connect',
    durable: false,
  },
  {
    says: 'parked for longer than an attempt may take',
    from: inPhase('Testing', { reason: 'PolicyPaused', times: { Connecting: at(now - 3601_000) } }),
    world: { hasSession: false, admission: refused() },
    to: 'Queued',
    act: 'Release',
    durable: true,
    reason: 'Waiting',
    message: /waited longer than 60m to start; queued again/,
  },
  {
    says: 'parked since this very moment',
    from: inPhase('Testing', { reason: 'PolicyPaused', times: { Connecting: at(now) } }),
    world: { hasSession: false, admission: refused() },
    to: 'Testing',
    act: 'Wait',
    durable: false,
    reason: 'PolicyPaused',
  },
  {
    says: 'parked since a time that is still to come, for the wall clock was set back',
    from: inPhase('Testing', { reason: 'PolicyPaused', times: { Connecting: at(now + 1000) } }),
    world: { hasSession: false, admission: refused() },
    to: 'Queued',
    act: 'Release',
    durable: true,
    reason: 'Waiting',
  },
  ...(['Connecting', 'Checking', 'Uploading', 'Testing'] as const).flatMap((phase): Row[] => [
    {
      says: `${phase}: found after a restart`,
      from: inPhase(phase),
      world: { hasSession: false },
      to: 'Connecting',
      act: 'Connect',
      durable: false,
    },
    {
      says: `${phase}: a wish to cancel`,
      from: inPhase(phase),
      world: { cancel: wish, hasSession: false },
      to: 'Cancelled',
      act: 'Release',
      durable: true,
      reason: 'CancelRequested',
    },
    ...(['None', 'Other'] as const).map((claim): Row => ({
      says: `${phase}: the claim is ${claim === 'None' ? 'gone' : "another's"}`,
      from: inPhase(phase),
      world: after({ kind: 'Connected' }, { claim }),
      to: 'Queued',
      act: 'Release',
      durable: true,
      reason: 'Waiting',
      message: /its claim on the device is gone; queued again/,
    })),
    {
      says: `${phase}: the image went away`,
      from: inPhase(phase),
      world: { target: undefined },
      to: 'Queued',
      act: 'Release',
      durable: true,
      reason: 'BuildNotReady',
      message: /its image is not Ready any more; queued again/,
    },
    {
      says: `${phase}: failed, may be tried again`,
      from: inPhase(phase),
      world: after(failedAttempt('UploadFailed', true)),
      to: 'Queued',
      act: 'Release',
      durable: true,
      reason: 'Retrying',
      message: /what went wrong; attempt 2 of 4 in 60s/,
    },
    {
      says: `${phase}: failed for good`,
      from: inPhase(phase),
      world: after(failedAttempt('Rejected', false)),
      to: 'Failed',
      act: 'Release',
      durable: true,
      failureClass: 'Rejected',
      message: /^what went wrong$/,
    },
    {
      says: `${phase}: failed once too often`,
      from: inPhase(phase, { attempts: 4 }),
      world: after(failedAttempt('UploadFailed', true)),
      to: 'Failed',
      act: 'Release',
      durable: true,
      failureClass: 'UploadFailed',
      message: /what went wrong \(attempt 4 of 4\)/,
    },
    {
      says: `${phase}: unreachable, and waits`,
      from: inPhase(phase, { attempts: 4 }),
      world: after(failedAttempt('Unreachable', true)),
      to: 'Queued',
      act: 'Release',
      durable: true,
      reason: 'Unreachable',
      message: /what went wrong; tried again in 10m/,
    },
    {
      says: `${phase}: unreachable, and counts`,
      from: inPhase(phase, { attempts: 4 }),
      world: after(failedAttempt('Unreachable', true), {
        settings: settings({ offline: { action: 'Fail' } }),
      }),
      to: 'Failed',
      act: 'Release',
      durable: true,
      failureClass: 'Unreachable',
    },
  ]),

  {
    says: 'the device said that it started',
    from: inPhase('Flashing'),
    world: after({ kind: 'Start', result: { kind: 'Started' } }),
    to: 'Rebooting',
    act: 'Wait',
    durable: true,
    message: /silent on purpose/,
  },
  {
    says: 'no answer to the start',
    from: inPhase('Flashing'),
    world: after({ kind: 'Start', result: { kind: 'Unknown', message: 'cut' } }),
    to: 'Flashing',
    act: 'Wait',
    durable: false,
    message: /no answer to the start \(cut\)/,
  },
  {
    says: 'the device refused to start, and may again',
    from: inPhase('Flashing'),
    world: after({
      kind: 'Start',
      result: { kind: 'Refused', failureClass: 'NotStarted', recoverable: true, message: 'busy', log: ['x'] },
    }),
    to: 'Queued',
    act: 'Release',
    durable: true,
    reason: 'Retrying',
    message: /busy; attempt 2/,
  },
  {
    says: 'the device refused to start, for good',
    from: inPhase('Flashing'),
    world: after({
      kind: 'Start',
      result: {
        kind: 'Refused',
        failureClass: 'Rejected',
        recoverable: false,
        message: 'bad image',
        log: [],
      },
    }),
    to: 'Failed',
    act: 'Release',
    durable: true,
    failureClass: 'Rejected',
  },
  ...(['Flashing', 'Rebooting'] as const).flatMap((phase): Row[] => [
    {
      says: `${phase}: found after a restart: only looked at`,
      from: inPhase(phase),
      world: { hasSession: false },
      to: phase,
      act: 'Knock',
      durable: false,
    },
    {
      says: `${phase}: a wish to cancel is not heard`,
      from: inPhase(phase),
      world: { hasSession: false, cancel: wish },
      to: phase,
      act: 'Knock',
      durable: false,
    },
    {
      says: `${phase}: knocked, and nothing`,
      from: inPhase(phase),
      world: after({ kind: 'Knocked', answered: false, tookMs: 0 }),
      to: phase,
      act: 'Wait',
      durable: false,
    },
    {
      says: `${phase}: knocked, and answered`,
      from: inPhase(phase),
      world: after({ kind: 'Knocked', answered: true, tookMs: 0 }),
      to: phase,
      act: 'Look',
      durable: false,
    },
    {
      says: `${phase}: could not look`,
      from: inPhase(phase),
      world: after({ kind: 'LookFailed', message: 'refused', tookMs: 0 }),
      to: phase,
      act: 'Wait',
      durable: false,
      message: /^refused$/,
    },
    {
      says: `${phase}: the old boot answers`,
      from: inPhase(phase),
      world: after(looked({ uptimeSeconds: 590 })),
      to: phase,
      act: 'Wait',
      durable: false,
    },
    {
      says: `${phase}: the old boot answers late, and upgrades`,
      from: inPhase(phase),
      world: after(looked({ uptimeSeconds: 5000, upgrading: true })),
      to: phase,
      act: 'Wait',
      durable: false,
    },
    {
      says: `${phase}: the old boot answers too late to start`,
      from: inPhase(phase),
      world: after(looked({ uptimeSeconds: 590.5 })),
      to: 'Queued',
      act: 'Release',
      durable: true,
      reason: 'Retrying',
      message: /the flash never started: same boot, nothing running; the device says: a line; attempt 2/,
    },
    {
      says: `${phase}: never started, once too often`,
      from: inPhase(phase, { attempts: 4 }),
      world: after(looked({ uptimeSeconds: 600 })),
      to: 'Failed',
      act: 'Release',
      durable: true,
      failureClass: 'NotStarted',
    },
    {
      says: `${phase}: the target under a new boot`,
      from: inPhase(phase),
      world: after(looked({ ...onTarget, bootId: 'boot-2' })),
      to: 'Succeeded',
      act: 'Release',
      durable: true,
      reason: 'Succeeded',
    },
    {
      says: `${phase}: the target under the old boot proves nothing`,
      from: inPhase(phase),
      world: after(looked({ ...onTarget })),
      to: phase,
      act: 'Wait',
      durable: false,
    },
    {
      says: `${phase}: the old release under a new boot`,
      from: inPhase(phase),
      world: after(looked({ bootId: 'boot-2' })),
      to: 'Failed',
      act: 'Release',
      durable: true,
      failureClass: 'RolledBack',
    },
    {
      says: `${phase}: a third release`,
      from: inPhase(phase),
      world: after(looked({ bootId: 'boot-2', osIdentifier: 'Else', release: {} })),
      to: 'Failed',
      act: 'Release',
      durable: true,
      failureClass: 'WrongVersion',
      message: /runs Else, expected Toy 2\.0\.0/,
    },
    {
      says: `${phase}: somebody else answers`,
      from: inPhase(phase),
      world: after(looked({ ...onTarget, bootId: 'boot-2', identity: 'else' })),
      to: phase,
      act: 'Wait',
      durable: false,
      message: /another device answers/,
    },
    {
      says: `${phase}: somebody else, accepted since`,
      from: inPhase(phase, { identityBefore: '02:00:00:00:00:01' }),
      world: after(looked({ ...onTarget, bootId: 'boot-2', identity: 'else' }), { identity: 'else' }),
      to: phase,
      act: 'Wait',
      durable: false,
      message: /another device answers at this address: else instead of 02:00:00:00:00:01/,
    },
    {
      says: `${phase}: past the deadline`,
      from: inPhase(phase),
      world: after({ kind: 'Knocked', answered: false, tookMs: 1000 }, { watchedMs: 901_000 }),
      to: 'Failed',
      act: 'Release',
      durable: true,
      failureClass: 'Lost',
      message: /has not come back for 15m/,
    },
    {
      says: `${phase}: past the deadline, but the last to ask began before it`,
      from: inPhase(phase),
      world: after({ kind: 'Knocked', answered: false, tookMs: 1000 }, { watchedMs: 900_999 }),
      to: phase,
      act: 'Wait',
      durable: false,
    },
    {
      says: `${phase}: past the deadline, but whoever looked stood still meanwhile`,
      from: inPhase(phase),
      world: after({ kind: 'LookFailed', message: 'timed out', tookMs: 3600_000 }, { watchedMs: 3_700_000 }),
      to: phase,
      act: 'Wait',
      durable: false,
    },
    {
      says: `${phase}: found after a wall clock was set back by hours`,
      from: inPhase(phase, { times: { Flashing: at(now + 7200_000), [phase]: at(now + 7200_000) } }),
      to: phase,
      act: 'Knock',
      durable: false,
    },
    {
      says: `${phase}: a wall clock that was set on by hours`,
      from: inPhase(phase, { times: { Flashing: at(now - 7200_000), [phase]: at(now - 7200_000) } }),
      world: after({ kind: 'Knocked', answered: false, tookMs: 1000 }),
      to: phase,
      act: 'Wait',
      durable: false,
    },
    {
      says: `${phase}: past the deadline, but it answers: looked at first`,
      from: inPhase(phase),
      world: after({ kind: 'Knocked', answered: true, tookMs: 0 }, { watchedMs: 900_000 }),
      to: phase,
      act: 'Look',
      durable: false,
    },
  ]),

  {
    says: 'Lost, and silent',
    from: lost,
    world: { claim: 'None', hasSession: false },
    to: 'Failed',
    act: 'Wait',
    durable: false,
    failureClass: 'Lost',
  },
  {
    says: 'Lost, and answered since',
    from: lost,
    world: { claim: 'None', hasSession: false, answeredSinceLost: true },
    to: 'Failed',
    act: 'Look',
    durable: false,
    failureClass: 'Lost',
  },
  {
    says: 'Lost, back on the target',
    from: lost,
    world: after(looked({ ...onTarget, bootId: 'boot-2' }), { claim: 'None' }),
    to: 'Succeeded',
    act: 'Release',
    durable: true,
  },
  {
    says: 'Lost, back on the old release',
    from: lost,
    world: after(looked({ bootId: 'boot-2' }), { claim: 'None' }),
    to: 'Failed',
    act: 'Release',
    durable: true,
    failureClass: 'RolledBack',
  },
  {
    says: 'Lost, and never started',
    from: lost,
    world: after(looked({ uptimeSeconds: 9000 }), { claim: 'None' }),
    to: 'Failed',
    act: 'Release',
    durable: true,
    failureClass: 'NotStarted',
  },
  {
    says: 'Lost, a look that failed',
    from: lost,
    world: after({ kind: 'LookFailed', message: 'x', tookMs: 0 }, { claim: 'None', answeredSinceLost: true }),
    to: 'Failed',
    act: 'Wait',
    durable: false,
    failureClass: 'Lost',
  },
]

/** What only the file of whole steps tells: times at their limits, and what is missing. */
const edges: Pick<Row, 'says' | 'from' | 'world'>[] = [
  { says: 'new', from: operation('ap-1-abc-1'), world: { claim: 'None' } },
  { says: 'new, and claimed', from: operation('ap-1-abc-1'), world: {} },
  ...(['Retrying', 'Unreachable'] as const).flatMap((reason) =>
    [undefined, 'WaitingForSlot', 'PolicyPaused', 'Unreachable'].map((blocked) => ({
      says: `${reason} in 5 s, ${blocked === undefined ? 'admitted' : `blocked by ${blocked}`}`,
      from: inPhase('Queued', { reason, retryTime: at(now + 5000) }),
      world: { claim: 'None', ...(blocked === undefined ? {} : { admission: refused(blocked) }) } as const,
    })),
  ),
  ...[24 * 3600_000, 24 * 3600_000 + 1].map((ms) => ({
    says: `retrying in ${ms} ms`,
    from: inPhase('Queued', { reason: 'Retrying', retryTime: at(now + ms) }),
    world: { claim: 'None' } as const,
  })),
  {
    says: 'retrying, refused without a reason',
    from: inPhase('Queued', { reason: 'Unreachable', retryTime: at(now + 5000) }),
    world: { claim: 'None', admission: { admitted: false, checks: [] } },
  },
  ...[-5000, 10, 5000].map((ms) => ({
    says: `blocked until ${ms} ms from now`,
    from: inPhase('Queued'),
    world: { claim: 'None', admission: refused('Held', now + ms) } as const,
  })),
  {
    says: 'a claim found after a restart, blocked until 5 s from now',
    from: inPhase('Queued'),
    world: { admission: refused('Held', now + 5000) },
  },
  {
    says: 'refused without a reason, long after an answer',
    from: inPhase('Queued', { waitingSince: at(now - 7200_000) }),
    world: {
      claim: 'None',
      admission: { admitted: false, checks: [] },
      settings: settings({ offline: { expireAfter: '1h' } }),
    },
  },
  ...[
    ['0s', 7200_000],
    ['1h', 3600_000],
    ['1h', 3600_000 - 1],
    ['1h', undefined],
  ].map(([expireAfter, sinceMs]) => ({
    says: `offline for ${sinceMs} ms of ${expireAfter}`,
    from: inPhase('Queued', sinceMs === undefined ? {} : { waitingSince: at(now - Number(sinceMs)) }),
    world: {
      claim: 'None',
      admission: refused('Unreachable'),
      settings: settings({ offline: { expireAfter } }),
    } as const,
  })),
  ...[undefined, 3].map((attempts) => ({
    says: `the claim is gone in attempt ${attempts}`,
    from: inPhase('Checking', attempts === undefined ? {} : { attempts }),
    world: { claim: 'None' } as const,
  })),
  ...[undefined, 1, 3].map((attempts) => ({
    says: `the image is in the cache no more, in attempt ${attempts}`,
    from: inPhase('Uploading', attempts === undefined ? {} : { attempts }),
    world: after({ kind: 'ImageMissing', message: 'it was damaged' }, { hasSession: false }),
  })),
  ...(['None', 'Mine'] as const).map((claim) => ({
    says: `admitted with the claim ${claim}, and the image is still being fetched`,
    from: inPhase('Queued'),
    world: { claim, hasImage: false },
  })),
  ...(['Connecting', 'Testing'] as const).map((phase) => ({
    says: `${phase}: found after a restart, and the image is still being fetched`,
    from: inPhase(phase),
    world: { hasSession: false, hasImage: false },
  })),
  {
    says: 'parked: found after a restart, and the image is still being fetched',
    from: inPhase('Testing', { reason: 'PolicyPaused' }),
    world: { hasSession: false, hasImage: false },
  },
  {
    says: 'found after a restart, and the image has become another one',
    from: inPhase('Uploading', { image: { name: 'image', sha256: 'f'.repeat(64), size: 1000 } }),
    world: { hasSession: false, hasImage: false },
  },
  {
    says: 'found after a restart, and the image has another name by now',
    from: inPhase('Uploading', { image: { ...world().target!.image, name: 'renamed' } }),
    world: { hasSession: false, hasImage: false },
  },
  {
    says: 'found after a restart, with a status that names no image',
    from: operation('ap-1-abc-1', { phase: 'Uploading', attempts: 1 }),
    world: { hasSession: false, hasImage: false },
  },
  {
    says: 'under way, and the image has become another one',
    from: inPhase('Uploading', { image: { name: 'image', sha256: 'f'.repeat(64), size: 1000 } }),
    world: after({ kind: 'Uploaded' }, { hasImage: false }),
  },
  {
    says: 'the claim is gone before any attempt',
    from: operation('ap-1-abc-1', { phase: 'Checking' }),
    world: { claim: 'None' },
  },
  {
    says: 'failed with words of the device',
    from: inPhase('Testing'),
    world: after({
      kind: 'AttemptFailed',
      failureClass: 'Rejected',
      recoverable: false,
      message: 'no',
      log: ['one', 'two'],
    }),
  },
  {
    says: 'unreachable, and counts, with attempts left',
    from: inPhase('Connecting'),
    world: after(failedAttempt('Unreachable', true), { settings: settings({ offline: { action: 'Fail' } }) }),
  },
  ...[0, 600_000, 1_800_000, 7 * 24 * 3600_000].map((ms) => ({
    says: `unreachable for ${ms} ms`,
    from: inPhase('Connecting', { waitingSince: at(now - ms) }),
    world: after(failedAttempt('Unreachable', true)),
  })),
  {
    says: 'not admitted, found without a session before its test',
    from: inPhase('Uploading'),
    world: { hasSession: false, admission: refused() },
  },
  ...[3600_000, 3600_001].map((ms) => ({
    says: `parked for ${ms} ms`,
    from: inPhase('Testing', { attempts: 2, times: { Connecting: at(now - ms) } }),
    world: after(tested, { admission: refused() }),
  })),
  {
    says: 'parked without any time',
    from: operation('ap-1-abc-1', { phase: 'Testing' }),
    world: after({ kind: 'Parked', undone: true }, { admission: refused() }),
  },
  ...[10, 5000].map((ms) => ({
    says: `parked until ${ms} ms from now`,
    from: inPhase('Testing'),
    world: after({ kind: 'Parked', undone: true }, { admission: refused('WaitingForStart', now + ms) }),
  })),
  ...[899_999, 900_000].map((watchedMs) => ({
    says: `could not look, watched for ${watchedMs} ms`,
    from: inPhase('Rebooting'),
    world: after({ kind: 'LookFailed', message: 'refused', tookMs: 0 }, { watchedMs }),
  })),
  ...[899_999, 900_000].map((watchedMs) => ({
    says: `somebody else answers, watched for ${watchedMs} ms`,
    from: inPhase('Rebooting'),
    world: after(looked({ bootId: 'boot-2', identity: 'else' }), { watchedMs }),
  })),
  {
    says: 'could not look, for the same reason as before',
    from: inPhase('Rebooting', { message: 'refused', log: ['Rebooting: refused'] }),
    world: after({ kind: 'LookFailed', message: 'refused', tookMs: 0 }),
  },
  {
    says: 'the old boot answers, watched for longer than a reboot takes',
    from: inPhase('Flashing'),
    world: after(looked({ uptimeSeconds: 500 }), { watchedMs: 900_000 }),
  },
  {
    says: 'its image went away in the last attempt',
    from: inPhase('Checking', { attempts: 4 }),
    world: { target: undefined },
  },
  ...(['Connecting', 'Rebooting'] as const).map((phase) => ({
    says: `${phase}, with conditions of before`,
    from: inPhase(phase, {
      conditions: [
        condition('Ready', 'InProgress', 'Unknown'),
        condition('Reconciling', 'InProgress'),
        condition('Stalled', 'Failed'),
        condition('Else', 'Kept'),
      ],
    }),
    world: after(phase === 'Connecting' ? { kind: 'Connected' } : looked({ ...onTarget, bootId: 'boot-2' })),
  })),
  ...[119_999, 120_000].map((watchedMs) => ({
    says: `knocked, watched for ${watchedMs} ms`,
    from: inPhase('Flashing'),
    world: after({ kind: 'Knocked', answered: false, tookMs: 0 }, { watchedMs }),
  })),
  ...[999, 1000, -1, 0].map((agoMs) => ({
    says: `goes down since ${agoMs} ms ago`,
    from: inPhase('Rebooting', { times: { Rebooting: at(now - agoMs) } }),
    world: { hasSession: false },
  })),
  {
    says: 'a verdict is found after a restart, right after the start',
    from: inPhase('Verifying', { times: { Flashing: at(now - 100), Rebooting: at(now - 100) } }),
    world: { hasSession: false },
  },
  ...(['Flashing', 'Rebooting'] as const).flatMap((phase) => [
    { says: `${phase} without any time`, from: operation('ap-1-abc-1', { phase }), world: {} },
    {
      says: `${phase} without any time, and the target answers`,
      from: operation('ap-1-abc-1', { phase }),
      world: after(looked({ ...onTarget, bootId: 'boot-2' })),
    },
    {
      says: `${phase} without any time, knocked`,
      from: operation('ap-1-abc-1', { phase }),
      world: after({ kind: 'Knocked', answered: false, tookMs: 0 }),
    },
  ]),
  ...(['a line', 'another'] as const).map((known) => ({
    says: `the old boot shows its log, of which "${known}" is known`,
    from: inPhase('Flashing', { log: ['a line', 'Flashing: starting: sysupgrade', known] }),
    world: after(looked({ uptimeSeconds: 500 })),
  })),
  {
    says: 'the old boot shows no log, too late to start',
    from: inPhase('Flashing'),
    world: after({ kind: 'Looked', probe: probe({ uptimeSeconds: 600 }), log: [] }),
  },
  {
    says: 'the old boot answers, whose latest uptime nobody knows',
    from: operation('ap-1-abc-1', { phase: 'Flashing', bootIdBefore: 'boot-1' }),
    world: after(looked({ uptimeSeconds: 1e9 })),
  },
  {
    says: 'Lost, somebody else answers',
    from: lost,
    world: after(looked({ bootId: 'boot-2', identity: 'else' }), { claim: 'None' }),
  },
  {
    says: 'Lost, somebody else, accepted since',
    from: { ...lost, status: { ...lost.status, identityBefore: '02:00:00:00:00:01' } },
    world: after(looked({ ...onTarget, bootId: 'boot-2', identity: 'else' }), {
      claim: 'None',
      identity: 'else',
    }),
  },
  {
    says: 'Lost, the old boot answers and upgrades',
    from: lost,
    world: after(looked({ upgrading: true, uptimeSeconds: 9000 }), { claim: 'None' }),
  },
]

/** As it is stored, with conditions in a line each. */
const shown = (status: UpgradeOperationStatus, name: keyof UpgradeOperationStatus): string =>
  name === 'conditions'
    ? (status.conditions ?? [])
        .map(({ type, status: value, reason, message, ...more }) =>
          [
            type,
            value,
            reason,
            more.observedGeneration,
            more.lastTransitionTime,
            JSON.stringify(message),
          ].join(' '),
        )
        .join(', ')
    : (JSON.stringify(status[name]) ?? 'removed')

describe('each step', () => {
  test('an intent names whom it flashes, where that is known', () => {
    const intentOf = (identity: string | undefined): UpgradeOperationStatus =>
      nextStep(
        inPhase('Testing'),
        world({
          ...after({ kind: 'Tested', command: 'sysupgrade', bootId: 'boot-1', uptimeSeconds: 500 }),
          identity,
        }),
        now,
      ).status
    expect(intentOf('aa')).toHaveProperty('identityBefore', 'aa')
    expect(intentOf(undefined)).not.toHaveProperty('identityBefore')
  })

  test.each(rows)('$says: $to, $act', (row) => {
    const { status, act, durable } = nextStep(row.from, world(row.world), now)
    expect({ phase: status.phase, act: act.kind, durable, failureClass: status.failureClass }).toEqual({
      phase: row.to,
      act: row.act,
      durable: row.durable,
      failureClass: row.failureClass,
    })
    if (row.reason) expect(status.reason).toBe(row.reason)
    if (row.message) expect(status.message).toMatch(row.message)
  })

  test('writes this, and nothing else', async () => {
    const steps = [...rows, ...edges].map(({ says, from, world: changes }) => {
      const { status, act, durable } = nextStep(from, world(changes), now)
      const names = [
        ...new Set([...Object.keys(from.status), ...Object.keys(status)]),
      ] as (keyof typeof status)[]
      const changed = names.filter((name) => !sameValue(from.status[name], status[name]))
      const written = changed.map((name) => `  ${name}: ${shown(status, name)}\n`)
      return `${says}: ${JSON.stringify(act)}${durable ? ', durable' : ''}\n${written.join('')}`
    })
    await expect(steps.join('\n')).toMatchFileSnapshot('operation-steps.txt')
  })

  test('connected: the time without an answer is over', () => {
    const { status } = nextStep(
      inPhase('Connecting', { waitingSince: at(now - 1000) }),
      world(after({ kind: 'Connected' })),
      now,
    )
    expect(status.waitingSince).toBeUndefined()
  })

  test('an attempt that begins drops what the one before has left', () => {
    const queued = inPhase('Queued', {
      attempts: 2,
      retryTime: at(now),
      reason: 'Retrying',
      progress: { percent: 7 },
    })
    const { status } = nextStep(queued, world(after({ kind: 'Claimed' })), now)
    expect(status).toMatchObject({
      attempts: 3,
      from: { revision: 'r1' },
      to: { revision: 'r2' },
      image: { sha256: digest },
    })
    expect([status.retryTime, status.progress, status.reason]).toEqual([undefined, undefined, undefined])
  })

  test('the intent carries what proves it later', () => {
    const { status, act } = nextStep(inPhase('Testing'), world(after(tested)), now)
    expect(status).toMatchObject({
      phase: 'Flashing',
      bootIdBefore: 'boot-1',
      maxUptime: 591,
      command: 'sysupgrade -v /tmp/x',
    })
    expect(act).toEqual({ kind: 'Start', token: { bootId: 'boot-1', maxUptimeSeconds: 591 } })
  })

  test('an attempt that waited for its start does not count', () => {
    const parked = inPhase('Testing', {
      attempts: 3,
      reason: 'PolicyPaused',
      times: { Connecting: at(now - 3601_000) },
    })
    expect(nextStep(parked, world({ hasSession: false, admission: refused() }), now).status.attempts).toBe(2)
  })

  test('waiting for an offline device costs no attempt, and grows to its longest', () => {
    const waits: number[] = []
    let current = inPhase('Connecting', { attempts: 1 })
    let clock = now
    for (let round = 0; round < 12; round += 1) {
      const { status } = nextStep(current, world(after(failedAttempt('Unreachable', true))), clock)
      expect(status.attempts).toBe(0)
      waits.push(Date.parse(status.retryTime!) - clock)
      clock = Date.parse(status.retryTime!)
      current = inPhase('Connecting', { attempts: 1, waitingSince: status.waitingSince! })
    }
    expect(waits[0]).toBe(600_000)
    expect(waits.toSorted((a, b) => a - b)).toEqual(waits)
    expect(waits.at(-1)).toBe(12 * 3600_000)
  })

  test('an offline device is not asked without a pause, whatever the policy says', () => {
    const settingsOf = settings({ offline: { recheck: '0s', maxRecheck: '0s' } })
    const outcome = failedAttempt('Unreachable', true)
    const { status } = nextStep(inPhase('Connecting'), world({ outcome, settings: settingsOf }), now)
    expect(status.retryTime).toBe(at(now + 1000))
  })

  test('who waits for the end of HALT looks again every second, for no write says that it has ended', () => {
    const halted = { claim: 'None', admission: refused('Halted') } as const
    expect(nextStep(inPhase('Queued'), world(halted), now).act).toEqual({ kind: 'Wait', ms: 1000 })
    expect(waitParked('Halted')).toEqual({ kind: 'Wait', ms: 1000 })
  })

  const waitParked = (reason: string) => {
    const parked = inPhase('Testing', { reason })
    return nextStep(parked, world({ hasSession: false, admission: refused(reason) }), now).act
  }

  test('who is parked for anything else looks again every five seconds', () => {
    expect(waitParked('WaitingForSlot')).toEqual({ kind: 'Wait', ms: 5000 })
  })

  test('a wall clock that was set back stops nothing', () => {
    const retrying = inPhase('Queued', { reason: 'Retrying', retryTime: at(now + 365 * 24 * 3600_000) })
    expect(nextStep(retrying, world({ claim: 'None' }), now).act).toEqual({ kind: 'Claim' })
    const offline = inPhase('Connecting', { waitingSince: at(now + 3600_000) })
    const { status } = nextStep(offline, world(after(failedAttempt('Unreachable', true))), now)
    expect(status.retryTime).toBe(at(now + 600_000))
  })

  const waitAfterKnock = (watchedMs: number, tookMs: number): unknown => {
    const knocked = after({ kind: 'Knocked', answered: false, tookMs }, { watchedMs })
    return (nextStep(inPhase('Rebooting'), world(knocked), now).act as { ms: number }).ms
  }

  test('knocking slows down after two minutes', () => {
    expect([waitAfterKnock(119_000, 0), waitAfterKnock(121_000, 0)]).toEqual([1000, 10_000])
  })

  test('a device that goes down is left alone at first', () => {
    const waitAfter = (reconnectRetry: string): Act => {
      const timeouts = { ...defaultPolicySettings.timeouts, reconnectRetry }
      const begun = world(
        after({ kind: 'Start', result: { kind: 'Started' } }, { settings: settings({ timeouts }) }),
      )
      return nextStep(inPhase('Flashing'), begun, now).act
    }
    expect(waitAfter('250ms')).toEqual({ kind: 'Wait', ms: 1000 })
    expect(waitAfter('5s')).toEqual({ kind: 'Wait', ms: 5000 })
    // Whatever wakes it meanwhile; and a wall clock that was set back need not catch up first.
    const actAfter = (ms: number): Act =>
      nextStep(inPhase('Rebooting', { times: { Rebooting: at(now - ms) } }), world(), now).act
    expect(actAfter(400)).toEqual({ kind: 'Wait', ms: 600 })
    expect(actAfter(1000)).toEqual({ kind: 'Knock' })
    expect(actAfter(-1)).toEqual({ kind: 'Knock' })
    expect(actAfter(-3600_000)).toEqual({ kind: 'Knock' })
  })

  test.each([10 * 365 * 24 * 3600_000, 3600_000, -3600_000, -10 * 365 * 24 * 3600_000])(
    'it is given up when its time is over, however the wall clock jumps meanwhile (%i ms)',
    (jumpMs) => {
      const phaseAfter = (watchedMs: number) => {
        const knocked: Outcome = { kind: 'Knocked', answered: false, tookMs: 1000 }
        return nextStep(inPhase('Rebooting'), world(after(knocked, { watchedMs })), now + jumpMs).status.phase
      }
      expect(phaseAfter(14 * 60_000)).toBe('Rebooting')
      expect(phaseAfter(16 * 60_000)).toBe('Failed')
    },
  )

  test('a knock that nobody answers is part of the time until the next one', () => {
    expect([300, 1000, 1500].map((tookMs) => waitAfterKnock(60_000, tookMs))).toEqual([700, 50, 50])
  })

  test('only what came to nothing clears lock and marker, and only a cancelled or failed attempt is undone', () => {
    const releaseOf = (from: UpgradeOperation, changes: Partial<OperationWorld>) =>
      nextStep(from, world(changes), now).act
    expect(releaseOf(inPhase('Flashing'), after(looked({ uptimeSeconds: 600 })))).toMatchObject({
      undo: true,
      startedToNothing: true,
    })
    expect(releaseOf(inPhase('Flashing'), after(looked({ ...onTarget, bootId: 'boot-2' })))).toMatchObject({
      undo: false,
      startedToNothing: false,
    })
    expect(releaseOf(inPhase('Uploading'), { cancel: wish })).toMatchObject({
      undo: true,
      startedToNothing: false,
    })
    expect(releaseOf(inPhase('Queued'), { cancel: wish, claim: 'None' })).toMatchObject({ undo: false })
  })

  test('words that are too long are cut to what a status may hold', () => {
    const long: Outcome = {
      kind: 'AttemptFailed',
      failureClass: 'UploadFailed',
      recoverable: true,
      message: '😀'.repeat(512),
    }
    const { status } = nextStep(inPhase('Uploading'), world(after(long)), now)
    expect(status.message!.length).toBeLessThanOrEqual(1024)
    expect(status.message!.isWellFormed()).toBe(true)
    expect(status.log!.every((line) => line.length <= 1024)).toBe(true)
  })
})

describe('what a phase means', () => {
  test.each(phases)('%s', (phase) => {
    const current = inPhase(phase)
    const index = phases.indexOf(phase)
    expect(isFinished(current)).toBe(index >= phases.indexOf('Succeeded'))
    expect(holdsSlot(current)).toBe(index > 0 && index < phases.indexOf('Succeeded'))
    expect(isFlashing(phase)).toBe(['Flashing', 'Rebooting', 'Verifying'].includes(phase))
    expect(transitions[phase].length === 0).toBe(isFinished(current))
  })
  test('Lost is a failure of its own', () => {
    expect([isLost(lost), isLost(inPhase('Failed', { failureClass: 'RolledBack' }))]).toEqual([true, false])
    expect(isLost(inPhase('Queued', { failureClass: 'Lost' }))).toBe(false)
    expect(lostWatchMs).toBe(30 * 86_400_000)
  })
  test('who has no policy was written by hand', () => {
    const byHand = operation('by-hand', {}, { buildRef: { name: 'new' } })
    expect([isHandWritten(byHand), isHandWritten(inPhase('Queued'))]).toEqual([true, false])
  })
  test('only who is queued waits for its turn', () => {
    expect(phases.filter((phase) => waitsForTurn(inPhase(phase)))).toEqual(['Queued'])
    expect(waitsForTurn(inPhase('Queued', { reason: 'WaitingForStart' }))).toBe(true)
  })
  test.each([
    [undefined, true],
    ['WaitingForSlot', true],
    ['Halted', true],
    ['LostLimit', true],
    ['Waiting', true],
    ['Unreachable', false],
    ['Retrying', false],
    ['PolicyPaused', false],
    ['OwnedByPolicy', false],
  ])('queued for %s waits for its turn: %s', (reason, expected) => {
    expect(waitsForTurn(inPhase('Queued', reason === undefined ? {} : { reason }))).toBe(expected)
  })
})

/** Outcomes that the act of a phase can bring, besides a failure. */
const outcomesIn: Partial<Record<Phase, Outcome['kind'][]>> = {
  Queued: ['Claimed', 'ClaimLost'],
  Connecting: ['Connected', 'AttemptFailed'],
  Checking: ['Checked', 'AlreadyOnTarget', 'AttemptFailed'],
  Uploading: ['Uploaded', 'ImageMissing', 'AttemptFailed'],
  Testing: ['Tested', 'AttemptFailed', 'Parked'],
  Flashing: ['Start', 'Knocked', 'Looked', 'LookFailed'],
  Rebooting: ['Knocked', 'Looked', 'LookFailed'],
  Failed: ['Looked', 'LookFailed'],
}
const preFlashClasses = [
  'Unreachable',
  'AuthFailed',
  'HostKeyChanged',
  'IdentityChanged',
  'Rejected',
  'Unsupported',
  'UploadFailed',
  'NotStarted',
  'RolledBack',
] as const
const probes = fc
  .record({
    bootId: fc.constantFrom('boot-1', 'boot-2'),
    release: fc.constantFrom<{ osIdentifier: string; release: Probe['release'] }>(
      onTarget,
      { osIdentifier: 'Toy 1.0.0', release: { revision: 'r1' } },
      { osIdentifier: 'Else', release: {} },
    ),
    identity: fc.constantFrom('02:00:00:00:00:01', 'else'),
    uptimeSeconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
    upgrading: fc.boolean(),
  })
  .map(({ release, ...rest }) => probe({ ...release, ...rest }))
const outcomeOf = (kind: Outcome['kind']): fc.Arbitrary<Outcome> => {
  const failure = {
    failureClass: fc.constantFrom(...preFlashClasses),
    recoverable: fc.boolean(),
    message: fc.string({ maxLength: 1200 }),
  }
  switch (kind) {
    case 'AttemptFailed':
      return fc.record({ kind: fc.constant(kind), ...failure })
    case 'AlreadyOnTarget':
      return fc.constant({ kind, probe: probe(onTarget) })
    case 'Tested':
      return fc.record({
        kind: fc.constant(kind),
        command: fc.string(),
        bootId: fc.constant('boot-1'),
        uptimeSeconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
      })
    case 'Parked':
      return fc.record({ kind: fc.constant(kind), undone: fc.boolean() })
    case 'Start':
      return fc.record({
        kind: fc.constant(kind),
        result: fc.oneof(
          fc.constant({ kind: 'Started' as const }),
          fc.constant({ kind: 'Unknown' as const, message: 'cut' }),
          fc.record({
            kind: fc.constant('Refused' as const),
            ...failure,
            log: fc.array(fc.string(), { maxLength: 50 }),
          }),
        ),
      })
    case 'Knocked':
      return fc.record({ kind: fc.constant(kind), answered: fc.boolean(), tookMs: fc.nat(20_000) })
    case 'Looked':
      return fc.record({
        kind: fc.constant(kind),
        probe: probes,
        log: fc.array(fc.string(), { maxLength: 50 }),
      })
    case 'LookFailed':
      return fc.record({ kind: fc.constant(kind), message: fc.constant('x'), tookMs: fc.nat(20_000) })
    case 'ClaimLost':
    case 'ImageMissing':
      return fc.constant({ kind, message: 'x' })
    case 'Claimed':
    case 'Connected':
    case 'Checked':
    case 'Uploaded':
      return fc.constant({ kind })
  }
}
const times = fc.integer({ min: -100 * 24 * 3600_000, max: 100 * 24 * 3600_000 }).map((ms) => at(now + ms))
const worlds = (phase: Phase): fc.Arbitrary<OperationWorld> =>
  fc
    .record({
      claim: phase === 'Queued' ? fc.constantFrom('None', 'Mine', 'Other') : fc.constant('Mine' as const),
      admission: fc.oneof(
        fc.constant(admitted),
        fc
          .constantFrom('PolicyPaused', 'Halted', 'Unreachable', 'WaitingForStart')
          .chain((reason) =>
            fc
              .option(fc.integer({ min: now - 1e6, max: now + 1e9 }), { nil: undefined })
              .map((until) => refused(reason, until)),
          ),
      ),
      cancel: fc.option(fc.constant(wish), { nil: undefined }),
      hasSession: fc.boolean(),
      hasImage: fc.boolean(),
      outcome: fc.option(fc.constantFrom(...outcomesIn[phase]!).chain(outcomeOf), { nil: undefined }),
      target: fc.option(fc.constant(world().target!), { nil: undefined }),
      identity: fc.constantFrom(undefined, '02:00:00:00:00:01'),
      settings: fc
        .record({
          action: fc.constantFrom('Wait' as const, 'Fail' as const),
          expireAfter: fc.constantFrom('0s', '1h'),
        })
        .map((offline) => settings({ offline })),
      watchedMs: fc.nat(100 * 24 * 3600_000),
      answeredSinceLost: fc.boolean(),
      random01: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    })
    .map(({ cancel, outcome, ...rest }) =>
      world({ ...rest, ...(cancel ? { cancel } : {}), ...(outcome ? { outcome } : {}) }),
    )

/** Any operation with any legal world: Failed only as Lost, because others are never asked. */
const cases = fc.constantFrom(...(Object.keys(outcomesIn) as Phase[])).chain((phase) =>
  fc.record({
    world: worlds(phase),
    operation: fc
      .record({
        attempts: fc.integer({ min: 0, max: 101 }),
        retryTime: fc.option(times, { nil: undefined }),
        waitingSince: fc.option(times, { nil: undefined }),
        reason: fc.constantFrom(undefined, 'Waiting', 'PolicyPaused', 'Halted'),
        flashedAt: times,
      })
      .map(({ flashedAt, retryTime, waitingSince, reason, attempts }) =>
        inPhase(phase, {
          attempts,
          ...(retryTime ? { retryTime } : {}),
          ...(waitingSince ? { waitingSince } : {}),
          ...(reason ? { reason } : {}),
          times: { Connecting: flashedAt, Flashing: flashedAt },
          ...(phase === 'Failed'
            ? { failureClass: 'Lost' as const, bootIdBefore: 'boot-1', maxUptime: 590 }
            : {}),
        }),
      ),
  }),
)

const holds = (rule: (before: UpgradeOperation, seen: OperationWorld, step: Step) => boolean): void => {
  fc.assert(
    fc.property(cases, ({ operation: before, world: seen }) =>
      rule(before, seen, nextStep(before, seen, now)),
    ),
    { numRuns: Number(process.env['REFLASH_ROUNDS'] ?? 4000) },
  )
}
const phaseBefore = ({ status }: UpgradeOperation): Phase => status.phase!

describe('whatever happens', () => {
  test('no step throws, and every move is in the table', () => {
    holds((before, _, { status }) => {
      const [from, to] = [phaseBefore(before), status.phase!]
      return from === to || transitions[from].includes(to) || (isLost(before) && to === 'Succeeded')
    })
  })

  test('after the intent nothing is done but looking', () => {
    const looking = new Set<Act['kind']>(['Knock', 'Look', 'Wait', 'Release'])
    holds(
      (before, _, { act }) => !(isFlashing(phaseBefore(before)) || isLost(before)) || looking.has(act.kind),
    )
  })

  test('after the intent a release that undoes anything needs proof that nothing started', () => {
    holds((before, { outcome }, { act }) => {
      if (!isFlashing(phaseBefore(before)) || act.kind !== 'Release' || !act.undo) return true
      if (outcome?.kind === 'Start') return outcome.result.kind === 'Refused'
      return (
        outcome?.kind === 'Looked' &&
        outcome.probe.bootId === 'boot-1' &&
        outcome.probe.uptimeSeconds > 590 &&
        !outcome.probe.upgrading
      )
    })
  })

  test('a start is admitted, tested, not cancelled, and follows a durable intent', () => {
    holds((before, { admission, outcome, cancel, target }, { act, status, durable }) => {
      if (act.kind !== 'Start') return true
      return (
        phaseBefore(before) === 'Testing' &&
        outcome?.kind === 'Tested' &&
        admission.admitted &&
        !cancel &&
        target !== undefined &&
        status.phase === 'Flashing' &&
        durable &&
        status.bootIdBefore === act.token.bootId &&
        status.maxUptime === act.token.maxUptimeSeconds &&
        status.command === outcome.command
      )
    })
  })

  test('nothing comes to Flashing in another way', () => {
    holds(
      (before, _, { act, status }) =>
        status.phase !== 'Flashing' || phaseBefore(before) === 'Flashing' || act.kind === 'Start',
    )
  })

  test('success is a new boot of our device with the target, or was there before the flash', () => {
    holds((before, { outcome, identity }, { status }) => {
      if (status.phase !== 'Succeeded') return true
      if (outcome?.kind === 'AlreadyOnTarget')
        return !isFlashing(phaseBefore(before)) && status.reason === 'AlreadyOnTarget'
      if (outcome?.kind !== 'Looked') return false
      const { bootId, release, identity: seen } = outcome.probe
      return (
        bootId !== before.status.bootIdBefore &&
        release.revision === 'r2' &&
        (identity === undefined || seen === identity)
      )
    })
  })

  test('nothing is cancelled after the intent, and everything before it is', () => {
    holds((before, { cancel, outcome }, { status }) => {
      const flashed = isFlashing(phaseBefore(before)) || isLost(before)
      if (flashed) return status.phase !== 'Cancelled'
      return status.phase === 'Cancelled'
        ? cancel !== undefined
        : !cancel || outcome?.kind === 'AttemptFailed'
    })
  })

  test('nobody leaves the queue without admission, but by a claim of this very turn', () => {
    holds((before, { admission, outcome, claim }, { status, act }) => {
      if (phaseBefore(before) !== 'Queued') return true
      const leaves = status.phase === 'Connecting'
      if (act.kind === 'Claim') return admission.admitted && claim === 'None'
      return !leaves || (claim === 'Mine' && (admission.admitted || outcome?.kind === 'Claimed'))
    })
  })

  test('who waits in the queue keeps no claim', () => {
    holds((before, { claim, outcome }, { status, act }) => {
      if (phaseBefore(before) !== 'Queued' || claim !== 'Mine' || outcome?.kind === 'ClaimLost') return true
      return status.phase !== 'Queued' || act.kind === 'Release'
    })
  })

  test('a finished phase is saved durably, and frees the device', () => {
    holds(
      (_, __, { status, act, durable }) =>
        !['Succeeded', 'Cancelled'].includes(status.phase!) || (durable && act.kind === 'Release'),
    )
  })

  test('a failure class is there when it failed, and only then', () => {
    holds((_, __, { status }) => (status.failureClass !== undefined) === (status.phase === 'Failed'))
  })

  test('the status stays within its bounds, and its conditions say what the phase says', () => {
    holds((_, __, { status }) => {
      const valueOf = (type: string) =>
        status.conditions?.find((condition) => condition.type === type)?.status
      const bounded =
        (status.message ?? '').length <= 1024 &&
        (status.log ?? []).length <= 40 &&
        (status.attempts ?? 0) >= 0
      if (!status.conditions) return bounded
      const ready =
        status.phase === 'Succeeded'
          ? 'True'
          : status.phase === 'Failed' || status.phase === 'Cancelled'
            ? 'False'
            : 'Unknown'
      return (
        bounded &&
        valueOf('Ready') === ready &&
        (valueOf('Stalled') === 'True') === (ready === 'False') &&
        (valueOf('Reconciling') === 'True') === (ready === 'Unknown')
      )
    })
  })

  test('a wait is never negative, and never at once for ever', () => {
    holds(
      (_, { outcome }, { act }) =>
        act.kind !== 'Wait' ||
        act.ms === undefined ||
        act.ms > 0 ||
        (outcome?.kind === 'Parked' && act.ms === 0),
    )
  })
})
