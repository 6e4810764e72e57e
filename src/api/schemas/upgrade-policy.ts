import { Type } from 'typebox'
import {
  closed,
  conditions,
  duration,
  integer,
  labelSelector,
  observedGeneration,
  oneOf,
  reference,
  selectorRules,
  text,
  time,
  upgradeOptions,
} from './common.ts'

const count = (description: string) => integer(0, 1e9, { description })
export const countNames = [
  'matched',
  'eligible',
  'onTarget',
  'queued',
  'inFlight',
  'succeeded',
  'failed',
  'lost',
  'rolledBack',
  'offline',
  'quarantined',
  'held',
  'unsupported',
  'unknown',
] as const

export const upgradePolicy = {
  kind: 'UpgradePolicy',
  plural: 'upgradepolicies',
  shortNames: ['upol'],
  description: 'Which devices should run which build, and how to get there.',
  columns: [
    { name: 'Target', jsonPath: '.spec.target.buildRef.name', type: 'string' },
    { name: 'State', jsonPath: '.spec.state', type: 'string' },
    { name: 'Phase', jsonPath: '.status.phase', type: 'string' },
    { name: 'Matched', jsonPath: '.status.counts.matched', type: 'integer' },
    { name: 'OnTarget', jsonPath: '.status.counts.onTarget', type: 'integer' },
    { name: 'InFlight', jsonPath: '.status.counts.inFlight', type: 'integer' },
    { name: 'Failed', jsonPath: '.status.counts.failed', type: 'integer' },
    { name: 'Converged', jsonPath: '.status.conditions[?(@.type=="Converged")].status', type: 'string' },
    { name: 'Revision', jsonPath: '.status.revision', type: 'string', priority: 1 },
    { name: 'Message', jsonPath: '.status.conditions[?(@.type=="Ready")].message', type: 'string', priority: 1 },
  ],
  rules: selectorRules,
  spec: closed(
    {
      categoryRef: reference({ description: 'Devices of this category only.' }),
      selector: labelSelector({ default: {}, description: 'Which devices; {} is every device of the category.' }),
      priority: integer(0, 1000, {
        default: 100,
        description: 'The highest owns a device; two of equal priority are a conflict and neither acts on it.',
      }),
      target: closed(
        {
          buildRef: reference({ description: 'The build that the devices should run.' }),
          allowDowngrade: Type.Boolean({ default: false, description: 'Allow an older version than the device runs.' }),
          onUnknownVersion: oneOf(['Skip', 'Upgrade'], {
            default: 'Skip',
            description: 'What to do with a device whose version cannot be compared.',
          }),
        },
        { description: 'Where to get to.' },
      ),
      state: oneOf(['Plan', 'Run', 'Pause', 'Abort'], {
        default: 'Run',
        description:
          'Plan starts nothing; Pause starts no flash; Abort also cancels what is before the flash. Nothing interrupts a flash.',
      }),
      limits: closed(
        {
          maxConcurrent: integer(1, 10_000, { default: 10, description: 'Upgrades in flight at once.' }),
          startsPerMinute: integer(1, 10_000, { default: 6, description: 'Flashes started in a minute.' }),
          upload: Type.Optional(
            closed(
              {
                maxConcurrent: Type.Optional(integer(1, 10_000, { description: 'Uploads at once.' })),
                maxMbps: Type.Optional(
                  integer(1, 1_000_000, { description: 'Megabits a second, shared by all uploads of this policy.' }),
                ),
              },
              { description: 'Limits of uploads; absent: no cap.' },
            ),
          ),
        },
        { default: {}, description: 'How much at once.' },
      ),
      retry: closed(
        {
          preFlash: integer(1, 100, { default: 4, description: 'Attempts before the flash, after which the device is quarantined.' }),
          backoff: duration({ default: '1m', description: 'Wait after the first failed attempt; doubled each time.' }),
          maxBackoff: duration({ default: '10m', description: 'Longest wait between attempts.' }),
          quarantine: duration({ default: '24h', description: 'How long a device is left alone when its attempts are used up.' }),
        },
        { default: {}, description: 'What to do when an attempt fails before the flash.' },
      ),
      offline: closed(
        {
          action: oneOf(['Wait', 'Fail'], {
            default: 'Wait',
            description: 'Wait for it, or count each failed connection as an attempt.',
          }),
          recheck: duration({ default: '10m', description: 'First wait before it is tried again; doubled each time.' }),
          maxRecheck: duration({ default: '12h', description: 'Longest wait before it is tried again.' }),
          expireAfter: duration({ default: '0s', description: 'Fail an operation that has waited this long; 0s: never.' }),
        },
        { default: {}, description: 'What to do with a device that does not answer.' },
      ),
      timeouts: closed(
        {
          connect: duration({ default: '60s', description: 'From the first packet to a session.' }),
          command: duration({ default: '30s', description: 'One command on the device.' }),
          upload: duration({ default: '10m', description: 'One upload.' }),
          flash: duration({ default: '90s', description: 'How long after the decision the device may still start; past it the device itself refuses.' }),
          reconnectRetry: duration({ default: '1s', description: 'Between two knocks at a rebooting device.' }),
          reboot: duration({ default: '15m', description: 'From the start of the flash until the device is back; then it is Lost.' }),
          total: duration({ default: '60m', description: 'One attempt before the flash, waiting included.' }),
        },
        { default: {}, description: 'How long to wait for what.' },
      ),
      options: Type.Optional(upgradeOptions({ description: 'Options of sysupgrade, above those of the category.' })),
      history: closed(
        {
          operationsPerDevice: integer(1, 100, { default: 10, description: 'Finished operations kept for each device.' }),
          keepFor: duration({ default: '90d', description: 'How long finished operations and removed devices are remembered.' }),
        },
        { default: {}, description: 'What is kept of the past.' },
      ),
      retryToken: Type.String({
        default: '',
        maxLength: 63,
        description: 'Change it to try failed and quarantined devices once more.',
      }),
    },
    { description: 'What the operator declares.' },
  ),
  status: closed(
    {
      observedGeneration,
      revision: Type.Optional(text(64, { description: 'Hash of the build and its images.' })),
      phase: Type.Optional(
        oneOf(['Planned', 'Progressing', 'Waiting', 'Paused', 'Aborted', 'Converged'], {
          description: 'For people; the truth is in conditions and counts.',
        }),
      ),
      counts: Type.Optional(
        closed(
          {
            matched: count('Devices that the policy selects.'),
            eligible: count('Of these, devices that it may upgrade or that are on the target.'),
            onTarget: count('Devices that run the target.'),
            queued: count('Devices that wait for a slot.'),
            inFlight: count('Upgrades in flight.'),
            succeeded: count('Upgrades of this revision that succeeded.'),
            failed: count('Devices whose last upgrade to this revision failed.'),
            lost: count('Of these, devices that never came back.'),
            rolledBack: count('Of these, devices that came back with the old release.'),
            offline: count('Devices that do not answer.'),
            quarantined: count('Devices left alone after failed attempts.'),
            held: count('Devices kept back by the operator or by another policy.'),
            unsupported: count('Devices with no image.'),
            unknown: count('Devices that were never probed.'),
          },
          { description: 'Devices, counted.' },
        ),
      ),
      topFailures: Type.Optional(
        Type.Array(
          closed(
            {
              device: text(253, { description: 'Device.' }),
              operation: text(253, { description: 'Operation.' }),
              class: text(63, { description: 'Failure class.' }),
              message: text(1024, { description: 'What happened.' }),
              time: time({ description: 'When.' }),
            },
            { description: 'One failure.' },
          ),
          { maxItems: 20, description: 'The latest failures, at most 20.' },
        ),
      ),
      conditions,
    },
    { description: 'What the controller found.' },
  ),
} as const
