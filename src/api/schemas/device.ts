import { Type } from 'typebox'
import { closed, conditions, integer, observedGeneration, reference, sha256, text, time } from './common.ts'

const hostKeys = (description: string) =>
  Type.Array(
    Type.String({
      pattern: '^(ssh-[a-z0-9-]+|ecdsa-sha2-nistp[0-9]+) [A-Za-z0-9+/=]+( [^\\r\\n]*)?$',
      maxLength: 2048,
      description: 'An OpenSSH public-key line.',
    }),
    { maxItems: 16, description },
  )

const addressPattern = '^[A-Za-z0-9]([A-Za-z0-9._:%-]*[A-Za-z0-9])?$|^::1$|^::$'
const port = integer(1, 65535, { default: 22, description: 'SSH port.' })
const credentialsRef = reference({
  description: 'Secret with username and either password or ssh-privatekey (and passphrase).',
})

export const device = {
  kind: 'Device',
  plural: 'devices',
  shortNames: ['dev'],
  description: 'One router.',
  columns: [
    { name: 'Category', jsonPath: '.spec.categoryRef.name', type: 'string' },
    { name: 'Board', jsonPath: '.status.board', type: 'string' },
    { name: 'OS', jsonPath: '.status.osIdentifier', type: 'string' },
    { name: 'Target', jsonPath: '.status.desiredBuildRef.name', type: 'string' },
    { name: 'UpToDate', jsonPath: '.status.conditions[?(@.type=="UpToDate")].status', type: 'string' },
    { name: 'Reachable', jsonPath: '.status.conditions[?(@.type=="Reachable")].status', type: 'string' },
    { name: 'Blocked', jsonPath: '.status.blocked.reason', type: 'string' },
    { name: 'Address', jsonPath: '.spec.addresses[0]', type: 'string', priority: 1 },
    { name: 'Seen', jsonPath: '.status.lastProbeTime', type: 'date', priority: 1 },
    { name: 'Message', jsonPath: '.status.blocked.message', type: 'string', priority: 1 },
  ],
  rules: [
    {
      // A format lets an API server take a list for a text.
      rule: '!has(self.hold) || !has(self.hold.until) || type(self.hold.until) == google.protobuf.Timestamp',
      message: 'a hold ends at a time',
      fieldPath: '.hold.until',
    },
  ],
  spec: closed(
    {
      categoryRef: reference({ description: 'The category whose firmware it runs.' }),
      addresses: Type.Array(
        Type.String({
          pattern: addressPattern,
          minLength: 1,
          maxLength: 253,
          description: 'A host name or an IP address, without a port.',
        }),
        { minItems: 1, maxItems: 8, description: 'Where it answers, tried in order.' },
      ),
      port,
      credentialsRef,
      hostKeys: Type.Optional(
        hostKeys('Host keys to accept. They override the keys seen first, and are how a new key is accepted.'),
      ),
      jumpHost: Type.Optional(
        closed(
          {
            address: Type.String({
              pattern: addressPattern,
              minLength: 1,
              maxLength: 253,
              description: 'Host name or IP address of the jump host.',
            }),
            port,
            credentialsRef,
            hostKeys: Type.Unsafe<string[]>({
              ...hostKeys('Host keys of the jump host; needed, since nothing else pins it.'),
              minItems: 1,
            }),
          },
          { description: 'SSH server to reach it through.' },
        ),
      ),
      upgrader: Type.Optional(
        Type.String({
          pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
          maxLength: 63,
          description: "Upgrader of this device, instead of its category's.",
        }),
      ),
      legacyAlgorithms: Type.Boolean({
        default: false,
        description: 'Accept the SHA-1 key exchange of OpenWrt 15.05 and older.',
      }),
      hold: Type.Optional(
        closed(
          {
            until: Type.Optional(time({ description: 'End of the hold; absent: until it is removed.' })),
            reason: text(1024, { description: 'Why it is held.' }),
          },
          { description: 'Start no upgrade of this device.' },
        ),
      ),
      pinnedBuildRef: Type.Optional(
        reference({ description: 'Keep policies with another target away. It starts nothing by itself.' }),
      ),
    },
    { description: 'What the operator declares.' },
  ),
  status: closed(
    {
      observedGeneration,
      osIdentifier: Type.Optional(text(255, { description: 'What the device says it runs.' })),
      release: Type.Optional(
        closed(
          {
            distribution: Type.Optional(text(255, { description: 'DISTRIB_ID.' })),
            version: Type.Optional(text(255, { description: 'DISTRIB_RELEASE.' })),
            revision: Type.Optional(text(255, { description: 'DISTRIB_REVISION.' })),
            target: Type.Optional(text(255, { description: 'DISTRIB_TARGET.' })),
          },
          { description: 'Its release, field by field.' },
        ),
      ),
      board: Type.Optional(text(255, { description: 'Board name.' })),
      model: Type.Optional(text(255, { description: 'Model, for people.' })),
      bootId: Type.Optional(text(64, { description: 'Id of its current boot.' })),
      compatVersion: Type.Optional(text(63, { description: 'Compatibility version of its configuration.' })),
      identity: Type.Optional(text(1024, { description: 'Its sorted MAC addresses, and serial number where it has one.' })),
      hostKeys: Type.Optional(hostKeys('Host keys as first seen.')),
      lastFlash: Type.Optional(
        closed(
          {
            operation: text(253, { description: 'Operation that flashed it last, from the marker on the device.' }),
            sha256: sha256({ description: 'Image of that operation.' }),
            bootId: text(64, { description: 'Boot id before that flash.' }),
          },
          { description: 'What the marker on the device says.' },
        ),
      ),
      buildRef: Type.Optional(reference({ description: 'The build it runs.' })),
      desiredBuildRef: Type.Optional(reference({ description: 'The build it should run.' })),
      policyRef: Type.Optional(reference({ description: 'The policy that owns it.' })),
      operationRef: Type.Optional(reference({ description: 'The operation that has claimed it.' })),
      blocked: Type.Optional(
        closed(
          {
            reason: Type.String({
              pattern: '^[A-Z][A-Za-z]*$',
              maxLength: 63,
              description: 'One word from a closed list.',
            }),
            message: text(1024, { description: 'What it waits for.' }),
            until: Type.Optional(time({ description: 'When it would pass, where that is known.' })),
          },
          { description: 'Why it is not upgraded now.' },
        ),
      ),
      lastProbeTime: Type.Optional(time({ description: 'When it last answered a probe.' })),
      failedProbes: Type.Optional(integer(0, 1e9, { description: 'Probes that failed since it last answered.' })),
      nextProbeTime: Type.Optional(time({ description: 'When it is probed next.' })),
      conditions,
    },
    { description: 'What the controller found.' },
  ),
} as const
