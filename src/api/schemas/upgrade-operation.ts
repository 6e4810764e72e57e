import { Type } from 'typebox'
import {
  closed,
  conditions,
  integer,
  observedGeneration,
  oneOf,
  reference,
  sha256,
  text,
  time,
  upgradeOptions,
} from './common.ts'

/** Phases of an operation, in order; the last three are final. */
export const phases = [
  'Queued',
  'Connecting',
  'Checking',
  'Uploading',
  'Testing',
  'Flashing',
  'Rebooting',
  'Verifying',
  'Succeeded',
  'Failed',
  'Cancelled',
] as const

/** Failure classes: first those before the flash, then the four after it. */
export const failureClasses = [
  'Unreachable',
  'AuthFailed',
  'HostKeyChanged',
  'IdentityChanged',
  'Rejected',
  'Unsupported',
  'UploadFailed',
  'NotStarted',
  'Lost',
  'WrongVersion',
  'RolledBack',
  'Unhealthy',
] as const

const facts = (description: string) =>
  Type.Optional(
    closed(
      {
        build: Type.Optional(text(253, { description: 'Build.' })),
        osIdentifier: Type.Optional(text(255, { description: 'OS identifier.' })),
        revision: Type.Optional(text(255, { description: 'Release revision.' })),
        board: Type.Optional(text(255, { description: 'Board name.' })),
      },
      { description },
    ),
  )

const bytes = (description: string) => Type.Optional(integer(0, 1e12, { description }))

export const upgradeOperation = {
  kind: 'UpgradeOperation',
  plural: 'upgradeoperations',
  shortNames: ['uop'],
  description: 'One upgrade of one device.',
  columns: [
    { name: 'Device', jsonPath: '.spec.deviceRef.name', type: 'string' },
    { name: 'Phase', jsonPath: '.status.phase', type: 'string' },
    { name: 'Percent', jsonPath: '.status.progress.percent', type: 'integer' },
    { name: 'To', jsonPath: '.status.to.build', type: 'string' },
    { name: 'Failure', jsonPath: '.status.failureClass', type: 'string' },
    { name: 'Attempts', jsonPath: '.status.attempts', type: 'integer', priority: 1 },
    { name: 'Message', jsonPath: '.status.message', type: 'string', priority: 1 },
  ],
  rules: [
    {
      rule: 'has(self.buildRef) != has(self.imageRef)',
      message: 'exactly one of buildRef and imageRef is needed',
    },
    { rule: 'self.deviceRef == oldSelf.deviceRef', message: 'an operation keeps its device', fieldPath: '.deviceRef' },
  ],
  spec: closed(
    {
      deviceRef: reference({ description: 'The device to upgrade.' }),
      buildRef: Type.Optional(reference({ description: 'The build to install; its image is chosen by board.' })),
      imageRef: Type.Optional(reference({ description: 'The very image to install.' })),
      policyRef: Type.Optional(reference({ description: 'The policy that made this operation.' })),
      revision: Type.Optional(text(64, { description: 'Revision of the policy that made it.' })),
      options: Type.Optional(upgradeOptions({ description: 'Options of sysupgrade, above those of policy and category.' })),
      cancel: Type.Boolean({ default: false, description: 'Cancel it; works until the flash is started.' }),
    },
    { description: 'What is to be done.' },
  ),
  status: closed(
    {
      observedGeneration,
      phase: Type.Optional(oneOf(phases, { description: 'Where it is; the truth is in conditions.' })),
      failureClass: Type.Optional(oneOf(failureClasses, { description: 'What kind of failure it was.' })),
      reason: Type.Optional(text(63, { description: 'One word for how it stands.' })),
      message: Type.Optional(text(1024, { description: 'What happened, for an operator.' })),
      from: facts('What the device ran before.'),
      to: facts('What it is to run.'),
      image: Type.Optional(
        closed(
          {
            name: text(253, { description: 'FirmwareImage.' }),
            sha256: sha256({ description: 'SHA-256 of the file.' }),
            size: integer(0, 1e12, { description: 'Size in bytes.' }),
          },
          { description: 'The file that is installed.' },
        ),
      ),
      attempts: Type.Optional(integer(0, 1000, { description: 'Attempts before the flash that were begun.' })),
      retryTime: Type.Optional(time({ description: 'No attempt is begun before this time.' })),
      waitingSince: Type.Optional(time({ description: 'Since when the device has not answered.' })),
      progress: Type.Optional(
        closed(
          {
            percent: integer(0, 100, { description: 'Per cent of the upload.' }),
            bytesSent: bytes('Bytes sent.'),
            bytesTotal: bytes('Bytes to send.'),
          },
          { description: 'How far the upload is.' },
        ),
      ),
      bootIdBefore: Type.Optional(text(64, { description: 'Boot id when the flash was decided on.' })),
      identityBefore: Type.Optional(
        text(1024, { description: 'Identity of the device when the flash was decided on: of another one nothing is concluded.' }),
      ),
      bootIdAfter: Type.Optional(text(64, { description: 'Boot id when the result was read.' })),
      maxUptime: Type.Optional(
        integer(0, 1e10, { description: 'Latest uptime in seconds at which the device may still start the flash.' }),
      ),
      command: Type.Optional(text(2048, { description: 'The exact command that was run.' })),
      times: Type.Optional(
        closed(
          Object.fromEntries(
            phases.map((phase) => [phase, Type.Optional(time({ description: `When it entered ${phase}.` }))]),
          ) as Record<(typeof phases)[number], ReturnType<typeof optionalTime>>,
          { description: 'When each phase was entered last.' },
        ),
      ),
      log: Type.Optional(
        Type.Array(Type.String({ maxLength: 1024, description: 'A line.' }), {
          maxItems: 40,
          description: 'The last 40 log lines.',
        }),
      ),
      conditions,
    },
    { description: 'What the controller found.' },
  ),
} as const

function optionalTime() {
  return Type.Optional(time({ description: '' }))
}
