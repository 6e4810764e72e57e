import { cp, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { reflash, type CliResult } from '../support/cli.ts'
import { makeTree } from '../support/tree.ts'

const example = `apiVersion: reflash.dev/v1alpha1
kind: Category
metadata: {name: indoor-ap}
spec:
  description: Indoor access points
---
apiVersion: reflash.dev/v1alpha1
kind: Build
metadata: {name: stable}
spec:
  categoryRef: {name: indoor-ap}
  version: "24.10.8"
---
apiVersion: reflash.dev/v1alpha1
kind: Device
metadata: {name: ap-17}
spec:
  categoryRef: {name: indoor-ap}
  addresses: [192.0.2.17]
  port: 22
  credentialsRef: {name: routers}
---
apiVersion: v1
kind: Secret
metadata: {name: routers}
stringData: {username: root, password: hunter2-canary}
`

const validate = async (files: Record<string, string>, ...flags: string[]): Promise<CliResult> =>
  reflash(['validate', await makeTree(files), ...flags])

describe('validate', { timeout: 20_000 }, () => {
  test('accepts the example, and says how much it has read', async () => {
    expect(await validate({ 'fleet.yaml': example })).toEqual({
      code: 0,
      signal: null,
      stdout: '',
      stderr: '3 objects, 0 errors, 0 warnings\n',
    })
  })

  test.each([
    [
      'YAML syntax',
      ['spec:\n  description: Indoor access points', 'spec: {description: Indoor access points'],
      'fleet.yaml:5:1: the indentation does not fit the lines above; is a } or ] missing there?',
    ],
    [
      'an unknown field',
      ['  port: 22', '  prot: 22'],
      'fleet.yaml:20:3: spec.prot: is not a known field; did you mean port?',
    ],
    [
      'a wrong type',
      ['  port: 22', '  port: "22"'],
      'fleet.yaml:20:9: spec.port: must be a whole number, found "22"; remove the quotes',
    ],
    [
      'a version that YAML reads as a number',
      ['version: "24.10.8"', 'version: 24.10'],
      'fleet.yaml:12:12: spec.version: must be a string, quote it: "24.10"',
    ],
    [
      'a reference that leads nowhere',
      [
        'name: stable}\nspec:\n  categoryRef: {name: indoor-ap}',
        'name: stable}\nspec:\n  categoryRef: {name: outdoor-ap}',
      ],
      'fleet.yaml:11:23: spec.categoryRef: there is no Category outdoor-ap in namespace default; did you mean indoor-ap?',
    ],
    [
      'a Secret without a key',
      [', password: hunter2-canary', ''],
      'fleet.yaml:21:26: spec.credentialsRef: Secret routers in namespace default needs a password or an ssh-privatekey',
    ],
    [
      'an unknown kind',
      ['kind: Build', 'kind: Biuld'],
      'fleet.yaml:8:7: kind: must be one of Category, Build, FirmwareImage, Device, UpgradePolicy, UpgradeOperation, found "Biuld"; did you mean Build?',
    ],
    [
      'an empty list',
      ['addresses: [192.0.2.17]', 'addresses: []'],
      'fleet.yaml:19:3: spec.addresses: must have at least 1 entry, found a list of 0',
    ],
  ] as const)(
    'says file, line and column for %s, what was expected and what was found',
    async (_, [good, bad], line) => {
      const broken = example.replace(good, bad)
      expect(broken).not.toBe(example)
      const { code, stdout, stderr } = await validate({ 'fleet.yaml': broken })
      expect(stdout.trimEnd().split('\n')).toContain(line)
      expect(code).toBe(1)
      expect(stderr).toMatch(/^\d objects?, [12] errors?, 0 warnings\n$/)
      expect(stdout + stderr).not.toContain('hunter2')
    },
  )

  test('gives a program every problem with its place', async () => {
    const { code, stdout } = await validate(
      { 'fleet.yaml': example.replace('port: 22', 'port: 0') },
      '-o',
      'json',
    )
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      valid: false,
      summary: { objects: 2, errors: 1, skipped: 0 },
      problems: [
        {
          file: 'fleet.yaml',
          line: 20,
          column: 9,
          severity: 'error',
          path: 'spec.port',
          text: expect.stringContaining('fleet.yaml:20:9: spec.port: '),
        },
      ],
    })
  })

  test('finds an image that was cut short', async () => {
    const fleet = join(await makeTree(), 'quickstart')
    await cp(fileURLToPath(new URL('../../examples/quickstart', import.meta.url)), fleet, { recursive: true })
    expect((await reflash(['validate', fleet])).code).toBe(0)
    await truncate(join(fleet, 'images', 'archer-c7-v5-24.10.8.bin'), 200)
    const { code, stdout } = await reflash(['validate', fleet])
    expect(stdout).toMatch(
      /^fleet\.yaml:\d+:\d+: spec\.source\.path: "images\/archer-c7-v5-24\.10\.8\.bin": the image carries no metadata: list its boards in spec\.boards\n$/,
    )
    expect(code).toBe(1)
  })

  test('stays readable with hundreds of errors: one line each, in the order of the files, and the count last', async () => {
    const device = (index: number): string =>
      `apiVersion: reflash.dev/v1alpha1\nkind: Device\nmetadata: {name: ap-${index + 1000}}\nspec:\n  categoryRef: {name: indoor-ap}\n  addresses: [192.0.2.1]\n  port: 99999\n  credentialsRef: {name: routers}\n`
    const files = Object.fromEntries(
      Array.from({ length: 200 }, (_, index) => [
        `devices/${String(index).padStart(3, '0')}.yaml`,
        device(index),
      ]),
    )
    const { code, stdout, stderr } = await validate({ 'fleet.yaml': example, ...files })
    expect(code).toBe(1)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(200)
    expect(lines).toEqual(lines.toSorted())
    for (const line of lines)
      expect(line).toMatch(/^devices\/\d{3}\.yaml:7:9: spec\.port: must be .{1,80}, found 99999$/)
    expect(stderr).toBe('3 objects, 200 errors, 0 warnings\n')
  })
})
