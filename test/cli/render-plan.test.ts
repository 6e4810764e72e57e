import { describe, expect, test } from 'vitest'
import { renderPlan } from '../../src/cli/render-plan.ts'
import type { Plan, PlannedDevice } from '../../src/controllers/plan.ts'
import { reflash } from '../support/cli.ts'
import { manifestText } from '../support/example-fleet.ts'
import { makeTree } from '../support/tree.ts'

const device = (index: number, more: Partial<PlannedDevice> = {}): PlannedDevice => ({
  namespace: 'default',
  name: `ap-${index}`,
  runs: '23.05.6',
  target: 'stable',
  action: 'Upgrade',
  reason: 'Ready',
  message: 'policy stable starts it now',
  ...more,
})

function planOf(devices: PlannedDevice[]): Plan {
  const count = (action: PlannedDevice['action']): number =>
    devices.filter((item) => item.action === action).length
  return {
    devices,
    summary: {
      devices: devices.length,
      upgrade: count('Upgrade'),
      wait: count('Wait'),
      blocked: count('Blocked'),
      none: count('None'),
    },
  }
}

describe('a plan as Markdown', () => {
  test('sums up, counts by reason and lists what is upgraded', () => {
    const held = { action: 'Blocked', reason: 'Held', message: 'held by the operator' } as const
    const plan = planOf([device(1), device(2, held), device(3, held)])
    expect(renderPlan(plan, [], 'markdown'))
      .toBe(`**3 devices: 1 to upgrade, 0 waiting, 2 blocked, 0 with nothing to do**

### Why

| action | reason | devices |
| --- | --- | --- |
| Blocked | Held | 2 |
| Upgrade | Ready | 1 |

### To upgrade

| device | runs | target | when |
| --- | --- | --- | --- |
| default/ap-1 | 23.05.6 | stable | policy stable starts it now |
`)
  })

  test('ends the list after 200 devices, and says how many are left', () => {
    const text = renderPlan(planOf(Array.from({ length: 250 }, (_, index) => device(index))), [], 'markdown')
    expect(text.match(/^\| default\/ap-/gm)).toHaveLength(200)
    expect(text).toMatch(/\n\n… 50 more\n$/)
  })

  test('takes nothing that a device or a file says for markup', () => {
    const evil = '`x` | <img src=y> [a](https://evil.example) www.evil.example &lt; *b*\n# c'
    const text = renderPlan(planOf([device(1, { runs: evil, message: evil })]), [evil], 'markdown')
    const rows = text.split('\n').filter((line) => line.includes('evil'))
    expect(rows).toHaveLength(2)
    const bare = rows.map((row) => row.replaceAll(/\\./g, ''))
    expect(bare.map((row) => row.split('|').length)).toEqual([3, 6])
    for (const row of bare) expect(row).not.toMatch(/[`<>[\]*#&]|:\/\/|www\./)
  })
})

test('a plan of a directory with a refused file says what is missing: exit 65', async () => {
  const root = await makeTree({
    'good.yaml': manifestText('Category', 'ap', '{}'),
    'bad.yaml': manifestText('Category', 'gateway', '{nonsense: 1}'),
  })
  const flags = [root, '--no-probe', '--state', `${root}/state.db`]
  const { code, stdout } = await reflash(['plan', ...flags, '-o', 'markdown'])
  expect(code).toBe(65)
  expect(stdout).toContain('### Refused, and missing from this plan\n')
  expect(stdout).toContain('| bad.yaml:')
  const { stdout: json } = await reflash(['plan', ...flags, '-o', 'json'])
  expect(JSON.parse(json)).toEqual({
    apiVersion: 'reflash.dev/v1alpha1',
    kind: 'Plan',
    summary: { devices: 0, upgrade: 0, wait: 0, blocked: 0, none: 0 },
    problems: [expect.stringMatching(/^bad\.yaml:\d+:\d+: spec\.nonsense: is not a known field/)],
    devices: [],
  })
})
