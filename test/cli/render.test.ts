import { describe, expect, test } from 'vitest'
import type { DeviceStatus, FleetStatus, PolicyStatus } from '../../src/api/status-api.ts'
import { createPaint } from '../../src/cli/paint.ts'
import { renderDescribe } from '../../src/cli/render-describe.ts'
import { shown, widthOf } from '../../src/cli/render-text.ts'
import { renderTop } from '../../src/cli/render-top.ts'
import { renderTree } from '../../src/cli/render-tree.ts'
import { isBlocked, renderWhy } from '../../src/cli/render-why.ts'
import { lengthInWords, relativeTime } from '../../src/cli/time-words.ts'

const nowMs = Date.UTC(2026, 10, 25, 6)
const plain = (_style: string, text: string): string => text
const look = { paint: plain, nowMs }

const device: DeviceStatus = {
  resourceVersion: '7',
  namespace: 'default',
  name: 'ap-17',
  model: 'Example \u001b[2JAP',
  running: 'v23',
  target: 'v24',
  policy: 'stable',
  onTarget: false,
  admitted: false,
  checks: [
    { id: 'policy', title: 'a policy selects it', outcome: 'Passed' },
    {
      id: 'hold',
      title: 'nobody holds it',
      outcome: 'Failed',
      reason: 'Held',
      message: 'until the move',
      until: '2026-11-25T09:12:30Z',
    },
    { id: 'slot', title: 'there is room', outcome: 'NotReached' },
  ],
}

describe('texts', () => {
  test('show letters of every language, and write out what a terminal would obey', () => {
    expect(shown('Straße – 東京 🛜')).toBe('Straße – 東京 🛜')
    expect(shown('a\u001b[2J\n\u009b\u202e\u200b\u{e0001}')).toBe(
      'a\\x1b[2J\\x0a\\x9b\\u202e\\u200b\\u{e0001}',
    )
    expect(widthOf('a🛜')).toBe(2)
  })

  test('tell times by their two largest units', () => {
    expect([0, 999, 45_000, 60_000, 11_550_000, 90_000_000].map(lengthInWords)).toEqual([
      '0 s',
      'less than 1 s',
      '45 s',
      '1 m',
      '3 h 12 m',
      '1 d 1 h',
    ])
    expect(relativeTime('2026-11-25T06:00:05Z', nowMs)).toBe('in 5 s')
    expect(relativeTime('2026-11-25T05:00:00Z', nowMs)).toBe('1 h ago')
    expect(relativeTime('soon', nowMs)).toBeUndefined()
  })

  test.each([
    ['always', false, {}, true],
    ['never', true, { FORCE_COLOR: '1' }, false],
    [false, true, {}, false],
    ['auto', true, {}, true],
    ['auto', false, {}, false],
    ['auto', true, { NO_COLOR: '1' }, false],
    ['auto', true, { NO_COLOR: '' }, true],
    ['auto', true, { TERM: 'dumb' }, false],
    ['auto', false, { FORCE_COLOR: '1' }, true],
    ['auto', true, { FORCE_COLOR: '0' }, false],
  ] as const)('are coloured when that is wanted: %s, terminal %s, %j', (when, isTTY, env, isOn) => {
    const paint = createPaint({ isTTY, columns: 80, rows: 24, write: () => {} }, when, env)
    expect(paint('red', 'no')).toBe(isOn ? '\u001b[31mno\u001b[39m' : 'no')
  })
})

describe('why', () => {
  test('has a line for each check, and the answer', () => {
    expect(renderWhy(device, look)).toBe(
      [
        'default/ap-17 (Example \\x1b[2JAP), runs v23, target v24 by policy stable',
        '  ✔ passed       a policy selects it',
        '  ✗ failed       nobody holds it: Held: until the move; passes in 3 h 12 m (2026-11-25T09:12:30Z)',
        '  – not reached  there is room',
        '✗ blocked by Held',
        '',
      ].join('\n'),
    )
    expect(isBlocked(device)).toBe(true)
  })

  test('is short where there is nothing to explain', () => {
    const done = { ...device, onTarget: true, checks: [] }
    expect(renderWhy(done, look)).toMatch(/\n✔ on its target: there is nothing to do\n$/)
    expect(isBlocked(done)).toBe(false)
    const next = { ...device, admitted: true, checks: [] }
    expect(renderWhy(next, look)).toMatch(/\n✔ nothing blocks it: it is upgraded next\n$/)
    expect(isBlocked(next)).toBe(false)
  })
})

test('a tree shows models, and the devices that fail', () => {
  const model = { matched: 100, onTarget: 100, inFlight: 0, failed: 0, failing: [], more: 0 }
  const policy: PolicyStatus = {
    resourceVersion: '7',
    namespace: 'default',
    name: 'stable',
    target: 'v24',
    state: 'Run',
    phase: 'Progressing',
    counts: { onTarget: 150, matched: 1000 },
    converged: 'False',
    models: [
      {
        ...model,
        model: 'One',
        matched: 900,
        onTarget: 50,
        inFlight: 3,
        failed: 813,
        failing: [{ device: 'ap-1', reason: 'Lost', message: 'it never came back' }],
        more: 812,
      },
      { ...model, model: 'Two' },
    ],
  }
  expect(renderTree(policy, plain)).toBe(
    [
      'policy default/stable → v24   Run, Progressing   150 of 1000 on target',
      '├─ ✗ One   50 of 900 on target, 3 in flight, 813 failing',
      '│  ├─ ✗ ap-1   Lost: it never came back',
      '│  └─ … 812 more',
      '└─ ✔ Two   100 of 100 on target',
      '',
    ].join('\n'),
  )
  expect(renderTree({ ...policy, models: [] }, plain)).toMatch(/\n└─ no devices\n$/)
})

test('the whole fleet fits a screen', () => {
  const status: FleetStatus = {
    resourceVersion: '7',
    version: '0.1.0',
    devices: {
      total: 1000,
      reachable: { True: 990, False: 10 },
      upToDate: { True: 150, False: 850 },
      blocked: { WaitingForSlot: 840, Unreachable: 10 },
    },
    operations: { inFlight: 2, byPhase: { Uploading: 2 } },
    governor: {
      inFlight: 2,
      maxInFlight: 50,
      startsLastMinute: 1,
      maxStartsPerMinute: 30,
      stop: { reason: 'Halted', message: 'HALT exists' },
    },
    policies: [
      {
        namespace: 'default',
        name: 'stable',
        target: 'v24',
        state: 'Run',
        counts: { matched: 1000, onTarget: 150, inFlight: 2, queued: 3 },
        converged: 'False',
      },
    ],
    models: [],
  }
  const operation = {
    metadata: { name: 'o' },
    spec: { deviceRef: { name: 'ap-1' } },
    status: {
      phase: 'Uploading',
      message: 'sending',
      progress: { percent: 40 },
      times: { Uploading: '2026-11-25T05:59:50Z' },
    },
  }
  expect(renderTop({ status, operations: [operation], nowMs }, plain)).toEqual([
    '1000 devices: 150 up to date, 10 not reachable, 2 upgrading (of 50 at once)',
    '✗ stopped: Halted: HALT exists',
    '',
    'POLICY   TARGET   PHASE   DONE       IN FLIGHT   WAITING   FAILED   OFFLINE',
    'stable   v24      Run     150/1000   2           3         0        0',
    '',
    'WHY NOT NOW      DEVICES',
    'WaitingForSlot   840',
    'Unreachable      10',
    '',
    'DEVICE   PHASE       FOR           MESSAGE',
    'ap-1     Uploading   10 s   40 %   sending',
    '… 1 more',
  ])
})

test('a description has head, fields, conditions, phases, checks and events', () => {
  const object = {
    apiVersion: 'reflash.dev/v1alpha1',
    kind: 'Device',
    metadata: {
      name: 'ap-17',
      namespace: 'default',
      labels: { site: 'north' },
      creationTimestamp: '2026-11-25T05:00:00Z',
    },
    spec: { addresses: ['ap-17.example'] },
    status: {
      phase: 'Uploading',
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'Gone',
          message: 'no\u0007 answer',
          lastTransitionTime: '2026-11-25T05:58:00Z',
        },
      ],
      times: {
        Uploading: '2026-11-25T05:59:55Z',
        Checking: '2026-11-25T05:59:55Z',
        Queued: '2026-11-25T05:59:00Z',
        Connecting: '2026-11-25T05:59:50Z',
      },
      log: ['first', 'second\u001b[2J'],
    },
  }
  const event = {
    metadata: { name: 'e' },
    type: 'Warning',
    reason: 'Unreachable',
    message: 'no answer',
    count: 4,
    firstTimestamp: '2026-11-25T05:50:00Z',
    lastTimestamp: '2026-11-25T05:57:00Z',
  }
  expect(renderDescribe({ object, events: [event], why: device }, look).split('\n')).toEqual([
    'Name:         ap-17',
    'Namespace:    default',
    'Kind:         Device (reflash.dev/v1alpha1)',
    'Labels:       site=north',
    'Annotations:  <none>',
    'Created:      2026-11-25T05:00:00Z (60m ago)',
    'Spec:',
    '  addresses:',
    '  - ap-17.example',
    'Status:',
    '  phase: Uploading',
    'Conditions:',
    '  TYPE    STATUS   REASON   FOR   MESSAGE',
    '  Ready   False    Gone     2m    no\\x07 answer',
    'Phases:',
    '  PHASE        ENTERED                TOOK',
    '  Queued       2026-11-25T05:59:00Z   50 s',
    '  Connecting   2026-11-25T05:59:50Z   5 s',
    '  Checking     2026-11-25T05:59:55Z   0 s',
    '  Uploading    2026-11-25T05:59:55Z   5 s so far',
    'Log:',
    '  first',
    '  second\\x1b[2J',
    'Why not now:',
    '  ✔ passed       a policy selects it',
    '  ✗ failed       nobody holds it: Held: until the move; passes in 3 h 12 m (2026-11-25T09:12:30Z)',
    '  – not reached  there is room',
    'Events:',
    '  TYPE      REASON        AGE                MESSAGE',
    '  Warning   Unreachable   3m (x4 over 10m)   no answer',
    '',
  ])
  expect(renderDescribe({ object: { metadata: { name: 'x' } }, events: [] }, look)).toMatch(
    /\nEvents: <none>\n$/,
  )
})
