import { expect, test } from 'vitest'
import type { Phase } from '../../src/api/resources.ts'
import { judgeHistory } from './history.ts'

type Kept = Parameters<typeof judgeHistory>[0]

interface Operation {
  uid: string
  device?: string
  byHand?: boolean
  phase?: Phase
}

/** What was written of operations, one after the other, and which of them are left of one device. */
function past(written: readonly Operation[], left: readonly Operation[], operationsPerDevice: number): Kept {
  const operation = ({ uid, device = 'ap', byHand = false, phase = 'Succeeded' }: Operation) => ({
    metadata: { uid, name: uid },
    spec: { deviceRef: { name: device }, ...(!byHand && { policyRef: { name: 'p' } }) },
    status: { phase },
  })
  return {
    writes: written.map(({ uid, device = 'ap', byHand = false, phase = 'Succeeded' }) => ({
      uid,
      operation: uid,
      device,
      ...(!byHand && { policy: 'p' }),
      phase,
    })),
    rest: {
      devices: [{ metadata: { name: 'ap' } }],
      operations: left.map(operation),
      policy: { spec: { history: { operationsPerDevice } } },
    },
  } as unknown as Kept
}

const a: Operation = { uid: 'a' }
const b: Operation = { uid: 'b' }
const lost = 'history: ap has lost its latest operation, b'
const tooMany = 'history: ap has 2 operations, and may have 1'

test.each([
  { says: 'all are kept', written: [a, b], left: [a, b], most: 2, finds: [] },
  { says: 'the latest is kept', written: [a, b], left: [b], most: 1, finds: [] },
  { says: 'the latest is lost', written: [a, b], left: [a], most: 1, finds: [lost] },
  { says: 'one too many is kept', written: [a, b], left: [a, b], most: 1, finds: [tooMany] },
  { says: 'none was made, and none may be kept', written: [], left: [], most: 0, finds: [] },
  ...(['Failed', 'Cancelled'] as const).map((phase) => ({
    says: `the latest was ${phase}, and is lost`,
    written: [a, { uid: 'b', phase }],
    left: [a],
    most: 1,
    finds: [lost],
  })),
  {
    says: 'the latest is under way',
    written: [a, { uid: 'b', phase: 'Uploading' as const }],
    left: [a, { uid: 'b', phase: 'Uploading' as const }],
    most: 1,
    finds: [],
  },
  {
    says: 'one under way was taken away',
    written: [a, { uid: 'b', phase: 'Uploading' as const }],
    left: [a],
    most: 1,
    finds: [],
  },
  {
    says: 'one by hand is kept beside',
    written: [a, { uid: 'b', byHand: true }],
    left: [a, { uid: 'b', byHand: true }],
    most: 1,
    finds: [],
  },
  {
    says: 'one by hand was taken away',
    written: [a, { uid: 'b', byHand: true }],
    left: [a],
    most: 1,
    finds: [],
  },
  {
    says: 'that of a device which is gone',
    written: [a, { uid: 'b', device: 'gone' }],
    left: [a],
    most: 1,
    finds: [],
  },
])('the history of a device: $says', ({ written, left, most, finds }) => {
  expect([...judgeHistory(past(written, left, most))]).toEqual(finds)
})
