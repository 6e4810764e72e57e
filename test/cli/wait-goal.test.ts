import { describe, expect, test } from 'vitest'
import type { ReadObject } from '../../src/cli/api-objects.ts'
import { goalWords, readGoal, standing, standsGone } from '../../src/cli/wait-goal.ts'

const policy = (status: Record<string, unknown>, generation = 1): ReadObject => ({
  kind: 'UpgradePolicy',
  metadata: { name: 'p', generation },
  status,
})
const condition = (type: string, status: string, more: object = {}): Record<string, unknown> => ({
  conditions: [{ type, status, reason: 'Because', message: 'of that', ...more }],
})

describe('a goal to wait for', () => {
  test.each([
    ['delete', 'the removal'],
    ['condition=Converged', 'condition Converged=True'],
    ['condition=ready=false', 'condition ready=false'],
    ['jsonpath={.status.phase}=Succeeded', '{.status.phase}=Succeeded'],
    ['jsonpath=.status.phase=Succeeded', '.status.phase=Succeeded'],
    ['jsonpath={.status.phase}', '{.status.phase}'],
    ['jsonpath={.c[?(@.type=="Ready")].status}=True', '{.c[?(@.type=="Ready")].status}=True'],
  ])('is read: %s', (text, words) => {
    expect(goalWords(readGoal(text))).toBe(words)
  })

  test.each(['', 'deleted', 'condition', 'condition=', 'jsonpath=', 'jsonpath', 'condition=a b'])(
    'is refused: "%s"',
    (text) => {
      expect(() => readGoal(text)).toThrow(/^--for must be delete, condition=NAME/)
    },
  )

  test('of a condition is met by the condition, in any case of letters', () => {
    const goal = readGoal('condition=converged=true')
    expect(standing(goal, policy(condition('Converged', 'True')))).toEqual({ state: 'Met' })
    expect(standing(goal, policy(condition('Converged', 'False')))).toEqual({ state: 'Waiting' })
    expect(standing(goal, policy({}))).toEqual({ state: 'Waiting' })
    expect(standing(goal, { metadata: { name: 'p' } })).toEqual({ state: 'Waiting' })
  })

  test('is not met by what was said of an older spec, nor given up for it', () => {
    const goal = readGoal('condition=Converged')
    const old = { observedGeneration: 1 }
    expect(standing(goal, policy(condition('Converged', 'True', old), 2))).toEqual({ state: 'Waiting' })
    expect(standing(goal, policy(condition('Stalled', 'True', old), 2))).toEqual({ state: 'Waiting' })
    expect(standing(goal, policy({ ...condition('Converged', 'True'), ...old }, 2))).toEqual({
      state: 'Waiting',
    })
  })

  test.each(['Stalled', 'Paused'])('is given up when the object is %s', (type) => {
    const stopped = policy(condition(type, 'True'))
    expect(standing(readGoal('condition=Converged'), stopped)).toEqual({
      state: 'Never',
      message: `${type}: Because: of that`,
    })
    expect(standing(readGoal(`condition=${type}`), stopped)).toEqual({ state: 'Met' })
    expect(standing(readGoal(`condition=${type}=False`), stopped)).toEqual({ state: 'Waiting' })
    expect(standing(readGoal('delete'), stopped)).toEqual({ state: 'Waiting' })
  })

  test('of a value is met by the value, and given up when the operation has ended otherwise', () => {
    const operation = (phase: string): ReadObject => ({
      kind: 'UpgradeOperation',
      metadata: { name: 'o' },
      status: { phase, message: 'the router is \u001b[2Jgone' },
    })
    const goal = readGoal('jsonpath={.status.phase}=Succeeded')
    expect(standing(goal, operation('Uploading'))).toEqual({ state: 'Waiting' })
    expect(standing(goal, operation('Succeeded'))).toEqual({ state: 'Met' })
    expect(standing(goal, operation('Failed'))).toEqual({
      state: 'Never',
      message: 'it has failed: the router is \\x1b[2Jgone',
    })
    expect(standing(readGoal('jsonpath={.status.to}'), operation('Uploading'))).toEqual({ state: 'Waiting' })
    expect(standing(readGoal('jsonpath={.status.phase}'), operation('Queued'))).toEqual({ state: 'Met' })
  })

  test('of removal is met by removal, any other is given up for it', () => {
    expect(standsGone(readGoal('delete'))).toEqual({ state: 'Met' })
    expect(standsGone(readGoal('condition=Ready'))).toEqual({ state: 'Never', message: 'it was removed' })
  })
})
