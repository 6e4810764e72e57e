import { rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { getCondition } from '../../src/core/conditions.ts'
import { reflash, type CliResult } from '../support/cli.ts'
import { readLog, secretText, startServedFleet, textOf, type ServedFleet } from '../support/served-fleet.ts'
import { steersTerminals } from '../support/steers-terminals.ts'

/** One router for each thing that can be wrong, each of a model of its own. */
const troubles = [
  'good',
  'password',
  'hostkey',
  'megabytes',
  'escapes',
  'outside',
  'digest',
  'truncated',
  'missing',
  'noimage',
  'twice',
  'nokey',
  'nosecret',
  'refuses',
  'fine',
] as const
type Trouble = (typeof troubles)[number]

const canary = 'correct-horse'
const wrongCanary = 'canary-wr0ng'
const build = 'access-points-24.10.8'
const imageOf = (trouble: Trouble): string => `${build}-acme-${trouble}`
const numberOf = (trouble: Trouble): number => troubles.indexOf(trouble)
const deviceOf = (trouble: Trouble): string => `ap-${String(numberOf(trouble) + 1).padStart(3, '0')}`
const otherKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq1mLdU5dcWvM0Q8Ew0D6c9Z6c0vXk2aVYk0tB7F2rq'
const wrongDigest = 'ab'.repeat(32)

const literally = (text: string): RegExp => new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))

const imageText = (name: string, path: string, more = ''): string =>
  `apiVersion: reflash.dev/v1alpha1\nkind: FirmwareImage\nmetadata: {name: ${name}}\nspec:\n  buildRef: {name: ${build}}\n  source: {path: ${path}}\n${more}`

async function breakIt(fleet: ServedFleet): Promise<void> {
  const router = (trouble: Trouble) => fleet.routers[numberOf(trouble)]!
  const change = (trouble: Trouble, spec: Record<string, unknown>) =>
    fleet.writeDevice(numberOf(trouble), spec)
  const image = (trouble: Trouble, path: string, more = '') =>
    fleet.write(`${imageOf(trouble)}.yaml`, imageText(imageOf(trouble), path, more))

  await fleet.write('wrong.yaml', secretText('wrong', { username: 'root', password: wrongCanary }))
  await change('password', { credentialsRef: { name: 'wrong' } })
  await fleet.write('nokey.yaml', secretText('nokey', { username: 'root' }))
  await change('nokey', { credentialsRef: { name: 'nokey' } })
  await change('nosecret', { credentialsRef: { name: 'nosecret' } })
  await change('hostkey', { hostKeys: [otherKey] })
  router('megabytes').inject({ kind: 'HugeOutput', command: 'probe', bytes: 5_000_000 }, Infinity)
  router('escapes').inject({ kind: 'ControlCharacters' }, Infinity)
  router('refuses').inject({ kind: 'Outage', ms: 3_600_000, answer: 'Refuses' })
  await image('outside', '../../../etc/hostname')
  await image('digest', `images/${imageOf('digest')}.bin`, `  sha256: ${wrongDigest}\n`)
  // The metadata is at the end of a file.
  await truncate(join(fleet.directory, 'images', `${imageOf('truncated')}.bin`), 20_000)
  await rm(join(fleet.directory, 'images', `${imageOf('missing')}.bin`))
  await rm(join(fleet.directory, `${imageOf('noimage')}.yaml`))
  await fleet.write('second.yaml', imageText('second-image', `images/${imageOf('twice')}.bin`))
}

describe('a fleet in which everything is wrong at once', { timeout: 60_000 }, () => {
  let fleet: ServedFleet
  let validation: CliResult
  let planned: CliResult
  let ran: CliResult
  let rows: { name: string; action: string; reason: string; message: string }[]

  beforeAll(async () => {
    fleet = await startServedFleet({
      count: troubles.length,
      models: troubles.map((trouble) => ({ board: `acme,${trouble}`, model: trouble })),
    })
    await breakIt(fleet)
    ;[validation, planned] = await Promise.all([
      reflash(['validate', fleet.directory]),
      fleet.plan('-o', 'json'),
    ])
    rows = JSON.parse(planned.stdout).devices
    ran = await fleet.run('--once')
  }, 60_000)
  afterAll(() => fleet.stop())

  const flashes = (trouble: Trouble): number =>
    fleet.routers[numberOf(trouble)]!.history.filter(({ type }) => type === 'FlashStarted').length

  test('is upgraded where nothing is wrong, and exits 1', () => {
    expect(ran.code, ran.stderr).toBe(1)
    expect(troubles.filter((trouble) => flashes(trouble) > 0)).toEqual(['good', 'fine'])
    expect([flashes('good'), flashes('fine')]).toEqual([1, 1])
  })

  test('is planned before anything is touched: exit 1, because there is something to do', () => {
    expect(planned.code, planned.stderr).toBe(1)
    expect(rows.filter(({ action }) => action === 'Upgrade').map(({ name }) => name)).toEqual([
      deviceOf('good'),
      deviceOf('fine'),
    ])
  })

  const unready = `no image for board acme,TROUBLE; not Ready: ${(
    ['digest', 'missing', 'outside', 'truncated'] as const
  )
    .map(
      (trouble, index) =>
        `${imageOf(trouble)} (${['DigestMismatch', 'NotFound', 'PathOutsideRoot', 'ImageInvalid'][index]})`,
    )
    .join(', ')}`
  const noImage = (trouble: Trouble): [Trouble, string, RegExp] => [
    trouble,
    'NoImage',
    literally(unready.replace('TROUBLE', trouble)),
  ]

  test.each<[Trouble, string, RegExp]>([
    ['password', 'AuthFailed', /^127\.0\.0\.1:\d+ refuses root by password .*is the password right/],
    [
      'hostkey',
      'HostKeyChanged',
      /shows the host key .* but pinned is ssh-ed25519 SHA256:.*Nothing was sent to it/,
    ],
    ['megabytes', 'Unsupported', /127\.0\.0\.1:\d+ wrote more than 65536 bytes to stdout/],
    ['escapes', 'NoImage', /no image for board acme,escapes\\x1b\[2J/],
    noImage('outside'),
    noImage('digest'),
    noImage('truncated'),
    noImage('missing'),
    noImage('noimage'),
    [
      'twice',
      'AmbiguousImage',
      literally(`has 2 images for board acme,twice: ${imageOf('twice')}, second-image`),
    ],
    ['nokey', 'NoCredentials', /^Secret nokey has neither "password" nor "ssh-privatekey"/],
    ['nosecret', 'NoCredentials', /^Secret nosecret does not exist in namespace default/],
    [
      'refuses',
      'NeverProbed',
      /^never reached: 127\.0\.0\.1:\d+ refuses connections: is its SSH server running, and on this port\?/,
    ],
  ])('%s is told by the plan, at the end of the run and in the status', async (trouble, reason, message) => {
    const name = deviceOf(trouble)
    expect(rows.find((row) => row.name === name)).toMatchObject({
      reason,
      message: expect.stringMatching(message),
      action: trouble === 'refuses' ? 'Wait' : 'Blocked',
    })
    const line = readLog(ran.stderr).words.find((words) => words.startsWith(`device ${name}: ${reason}: `))!
    expect(line.slice(`device ${name}: ${reason}: `.length)).toMatch(message)
    const device = (await fleet.stored('Device')).find(({ metadata }) => metadata.name === name)!
    expect(device.status.blocked).toMatchObject({ reason, message: expect.stringMatching(message) })
    expect(flashes(trouble)).toBe(0)
  })

  test.each<['device' | 'image', Trouble, string, RegExp]>([
    ['device', 'password', 'AuthFailed', /refuses root by password/],
    ['device', 'hostkey', 'HostKeyChanged', /Nothing was sent to it/],
    ['device', 'megabytes', 'Unsupported', /wrote more than 65536 bytes/],
    ['device', 'nokey', 'NotFound', /neither "password" nor "ssh-privatekey"/],
    ['device', 'nosecret', 'NotFound', /Secret nosecret does not exist/],
    [
      'image',
      'outside',
      'PathOutsideRoot',
      /the path "\.\.\/\.\.\/\.\.\/etc\/hostname" must be relative, without "\.\."/,
    ],
    ['image', 'digest', 'DigestMismatch', /has the SHA-256 [0-9a-f]{64}, expected is (ab){32}$/],
    ['image', 'truncated', 'ImageInvalid', /the image carries no metadata: list its boards in spec\.boards/],
    ['image', 'missing', 'NotFound', /images\/access-points-24\.10\.8-acme-missing\.bin/],
  ])(
    'a person is needed for the %s of %s: the log warns once, and its object is Stalled',
    async (controller, trouble, reason, message) => {
      const name = controller === 'image' ? imageOf(trouble) : deviceOf(trouble)
      const { events } = readLog(ran.stderr)
      const warned = events.filter(
        (event) => event['level'] === 'warn' && event['controller'] === controller && event['name'] === name,
      )
      expect(warned).toEqual([
        expect.objectContaining({ namespace: 'default', reason, msg: expect.stringMatching(message) }),
      ])
      const objects = await fleet.stored(controller === 'image' ? 'FirmwareImage' : 'Device')
      const stalled = objects.find((object) => object.metadata.name === name)!.status.conditions
      expect(getCondition(stalled, 'Stalled')).toMatchObject({
        status: 'True',
        reason,
        message: expect.stringMatching(message),
      })
    },
  )

  test('is refused by validate, at the very places that are wrong', () => {
    expect(validation.code).toBe(1)
    expect(validation.stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(
        /^access-points-24\.10\.8-acme-digest\.yaml:7:11: spec\.sha256: "images\/access-points-24\.10\.8-acme-digest\.bin": the image has the SHA-256 [0-9a-f]{64}, expected is (ab){32}$/,
      ),
      'access-points-24.10.8-acme-missing.yaml:6:19: warning: spec.source.path: there is no file "images/access-points-24.10.8-acme-missing.bin" beside the manifest',
      'access-points-24.10.8-acme-outside.yaml:6:18: spec.source.path: must be relative, without "..", and beside the manifest or below it',
      'access-points-24.10.8-acme-truncated.yaml:6:19: spec.source.path: "images/access-points-24.10.8-acme-truncated.bin": the image carries no metadata: list its boards in spec.boards',
      'devices/ap-012.yaml:8:27: spec.credentialsRef: Secret nokey in namespace default needs a password or an ssh-privatekey',
      'devices/ap-013.yaml:8:27: spec.credentialsRef: there is no Secret nosecret in namespace default',
    ])
    expect(validation.stderr).toMatch(/^\d+ objects, 5 errors, 1 warning\n$/)
  })

  test('leaks no password, and lets no device write to the terminal', async () => {
    const all = [validation, planned, ran].map(({ stdout, stderr }) => stdout + stderr).join('')
    const state = (await textOf(fleet.state)) + (await textOf(`${fleet.state}-wal`).catch(() => ''))
    for (const secret of [canary, wrongCanary]) {
      expect(all).not.toContain(secret)
      expect(state).not.toContain(secret)
    }
    expect(all).not.toMatch(steersTerminals)
  })
})
