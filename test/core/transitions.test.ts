import { describe, expect, test } from 'vitest'
import { failureClasses, phases } from '../../src/api/schemas/upgrade-operation.ts'
import { canMove, transitions } from '../../src/core/transitions.ts'

describe('the table of moves', () => {
  test('knows every phase, and names no other', () => {
    expect(Object.keys(transitions).toSorted((a, b) => a.localeCompare(b))).toEqual(
      [...phases].toSorted((a, b) => a.localeCompare(b)),
    )
  })
  test('reaches every phase from Queued', () => {
    const reached = new Set(['Queued'])
    for (const phase of reached)
      for (const next of transitions[phase as (typeof phases)[number]]) reached.add(next)
    expect([...phases].filter((phase) => !reached.has(phase))).toEqual([])
  })
  test('ends in the three final phases', () => {
    expect(phases.filter((phase) => transitions[phase].length === 0)).toEqual([
      'Succeeded',
      'Failed',
      'Cancelled',
    ])
  })
  test('cancels nothing after the intent', () => {
    for (const phase of ['Flashing', 'Rebooting', 'Verifying'] as const)
      expect(canMove(phase, 'Cancelled')).toBe(false)
  })
  test('comes to Flashing only from Testing', () => {
    expect(phases.filter((phase) => canMove(phase, 'Flashing'))).toEqual(['Testing'])
  })
  test.each(failureClasses)('lets Failed as %s be corrected only when it is Lost', (failureClass) => {
    expect(canMove('Failed', 'Succeeded', failureClass)).toBe(failureClass === 'Lost')
    expect(canMove('Failed', 'Queued', failureClass)).toBe(false)
  })
})
