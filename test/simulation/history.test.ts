import { expect, test } from 'vitest'
import type { Phase } from '../../src/api/resources.ts'
import { judgeHistory } from './history.ts'

type Kept = Parameters<typeof judgeHistory>[0]

/** Of one device: what was written of its operations, one after the other, and which of them are left. */
function past(ended: readonly string[], left: readonly string[], operationsPerDevice: number): Kept {
  const phase: Phase = 'Succeeded'
  const policy = 'p'
  const operation = (uid: string) => ({
    metadata: { uid, name: uid },
    spec: { deviceRef: { name: 'ap' }, policyRef: { name: policy } },
    status: { phase },
  })
  return {
    writes: ended.map((uid) => ({ uid, operation: uid, device: 'ap', policy, phase })),
    rest: {
      devices: [{ metadata: { name: 'ap' } }],
      operations: left.map(operation),
      policy: { spec: { history: { operationsPerDevice } } },
    },
  } as unknown as Kept
}

test('the history of a device', () => {
  expect([...judgeHistory(past(['a', 'b'], ['a', 'b'], 2))]).toEqual([])
  expect([...judgeHistory(past(['a', 'b'], ['b'], 1))]).toEqual([])
  expect([...judgeHistory(past(['a', 'b'], ['a'], 1))]).toEqual([
    'history: ap has lost its latest operation, b',
  ])
  expect([...judgeHistory(past(['a', 'b'], ['a', 'b'], 1))]).toEqual([
    'history: ap has 2 operations, and may have 1',
  ])
})
