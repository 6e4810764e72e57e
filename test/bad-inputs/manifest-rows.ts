/** Bad manifests: each takes the subject's restraint away, and breaks the file in which it does. */
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { BadInput } from './ids.ts'
import type { Row } from './row.ts'

const inPolicy = (
  id: BadInput,
  what: string,
  [before, after]: readonly [string, string],
  ...says: readonly string[]
): Row => ({
  id,
  what,
  spoil: async (good) => {
    await good.release()
    await good.edit('policy.yaml', before, after)
  },
  says,
  keeps: ['UpgradePolicy/subject'],
})

const limits = '{maxConcurrent: 1}'
const concurrency = (what: string, written: string, problem: string): Row =>
  inPolicy(
    'B8',
    what,
    [limits, `{maxConcurrent: ${written}}`],
    `policy.yaml:8:27: spec.limits.maxConcurrent: ${problem}`,
  )

const noNull = 'must not be null; leave the field out for its default, or give it a value'

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

export const manifestRows: readonly Row[] = [
  {
    id: 'B2',
    what: 'a build whose version is 24.10 without quotes',
    restraint: 'build',
    spoil: async (good) => {
      await good.release()
      await good.edit('build.yaml', '"24.10.8"', '24.10')
    },
    says: ['build.yaml:6:12: spec.version: must be a string, quote it: "24.10"'],
    keeps: ['Build/subject'],
  },
  inPolicy(
    'B3',
    'maxConcurent',
    [limits, '{maxConcurent: 5}'],
    'policy.yaml:8:12: spec.limits.maxConcurent: is not a known field; did you mean maxConcurrent?',
  ),
  inPolicy('B4', 'limits that are null', [limits, 'null'], `policy.yaml:8:3: spec.limits: ${noNull}`),
  inPolicy('B4', 'limits without a value', [limits, ''], `policy.yaml:8:3: spec.limits: ${noNull}`),
  inPolicy(
    'B4',
    'a selector without a value',
    ['{matchLabels: {role: subject}}', ''],
    `policy.yaml:6:3: spec.selector: ${noNull}`,
  ),
  inPolicy(
    'B5',
    'a selector twice',
    [limits, `${limits}\n  selector: {}`],
    'policy.yaml:9:3: spec.selector: is there twice in one map',
  ),
  inPolicy(
    'B5',
    'one limit twice',
    [limits, '{maxConcurrent: 1, maxConcurrent: 9}'],
    'policy.yaml:8:30: spec.limits.maxConcurrent: is there twice in one map',
  ),
  {
    id: 'B6',
    what: 'a policy in a second file, before the first by name',
    spoil: async (good) => {
      await good.write('again.yaml', (await good.read('policy.yaml')).replace('Pause', 'Run'))
    },
    says: [
      'policy.yaml:1:1: UpgradePolicy/default/subject is declared in again.yaml:1 already, and neither counts until one of them is removed',
    ],
    logs: [
      'again.yaml:1:1: UpgradePolicy/default/subject is declared in policy.yaml:1 already, and that declaration stays in force',
    ],
  },
  inPolicy(
    'B7',
    'a bomb of aliases',
    [limits, `&a ${limits}\n  retry: *a`],
    'policy.yaml:8:14: spec.limits: must not have an anchor (&); remove it, or quote the value',
    'policy.yaml:9:10: spec.retry: must not be an alias (*); write the value out, or quote it',
  ),
  inPolicy(
    'B7',
    '100 lists in each other',
    [limits, nested(100)],
    'policy.yaml:8:75: must not be nested deeper than 64',
  ),
  {
    id: 'B7',
    what: 'a file of 2 MiB',
    spoil: async (good) => {
      await good.release()
      await good.write('policy.yaml', `${await good.read('policy.yaml')}#${'x'.repeat(2 * 1024 * 1024)}\n`)
    },
    says: ['policy.yaml:1:1: is larger than 1 MiB'],
    keeps: ['UpgradePolicy/subject'],
  },
  {
    id: 'B7',
    what: 'more than 64 MiB in all',
    spoil: async (good) => {
      await good.release()
      for (let index = 0; index < 65; index += 1) {
        await good.write(`many/${index}.yaml`, '')
        await truncate(join(good.directory, 'many', `${index}.yaml`), 1024 * 1024)
      }
    },
    says: [/^\.:1:1: has \d+ bytes of manifests, more than 64 MiB$/],
    wholeDirectory: true,
  },
  concurrency('none at once', '0', 'must be from 1 to 10000, found 0'),
  concurrency('fewer than none at once', '-1', 'must be from 1 to 10000, found -1'),
  concurrency('a thousand million at once', '1e9', 'must be written in plain decimal digits, found 1e9'),
  concurrency('ten at once in quotes', '"10"', 'must be a whole number, found "10"; remove the quotes'),
  concurrency(
    'sixteen at once in hexadecimal',
    '0x10',
    'must be written in plain decimal digits, found 0x10',
  ),
]
