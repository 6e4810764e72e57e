import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { FailureClass } from '../../src/api/resources.ts'
import { failureClasses } from '../../src/api/schemas/upgrade-operation.ts'
import { errorTable, hasCode, messageOf, ReflashError, type ErrorCode } from '../../src/core/errors.ts'

const codes = Object.keys(errorTable) as ErrorCode[]
const classOf = (code: ErrorCode): FailureClass | undefined => new ReflashError(code, '').failureClass
/** What only shows after a flash is read from the device, and is never an error of a step. */
const afterFlash: readonly FailureClass[] = ['Lost', 'WrongVersion', 'RolledBack', 'Unhealthy']

describe('the table of errors', () => {
  test.each<ErrorCode>([
    'Unreachable',
    'Timeout',
    'ConnectionLost',
    'Busy',
    'NoSpace',
    'UploadFailed',
    'FetchFailed',
    'Conflict',
  ])('time may heal %s', (code) => expect(errorTable[code].recoverable).toBe(true))

  test.each<ErrorCode>([
    'AuthFailed',
    'CredentialsInvalid',
    'HostKeyChanged',
    'HostKeyUnknown',
    'IdentityChanged',
    'AlgorithmMismatch',
    'Rejected',
    'ImageInvalid',
    'DigestMismatch',
    'StateCorrupt',
  ])('only a person helps with %s, so nothing tries it again and again', (code) => {
    expect(errorTable[code].recoverable).toBe(false)
  })

  test.each(failureClasses.filter((name) => !afterFlash.includes(name)))(
    'an upgrade can end as %s before its flash',
    (failureClass) => expect(codes.map(classOf)).toContain(failureClass),
  )

  test.each(afterFlash)('no error claims %s, which only the device can tell', (failureClass) => {
    expect(failureClasses).toContain(failureClass)
    expect(codes.map(classOf)).not.toContain(failureClass)
  })

  test('has no code that nothing in the sources names', () => {
    const root = fileURLToPath(new URL('../../src/', import.meta.url))
    const files = globSync('**/*.ts', { cwd: root }).filter((path) => path !== join('core', 'errors.ts'))
    const text = files.map((path) => readFileSync(join(root, path), 'utf8')).join('\n')
    expect(codes.filter((code) => !new RegExp(`'${code}'`).test(text))).toEqual([])
  })
})

test('an error carries what its row says, and its cause', () => {
  const cause = new Error('ECONNREFUSED')
  const error = new ReflashError('Unreachable', 'does not answer', { cause })
  expect(error).toMatchObject({
    name: 'ReflashError',
    code: 'Unreachable',
    recoverable: true,
    failureClass: 'Unreachable',
    cause,
  })
  expect(hasCode(error, 'Timeout', 'Unreachable')).toBe(true)
  expect(hasCode(error, 'Timeout')).toBe(false)
  expect(hasCode(cause, 'Unreachable')).toBe(false)
})

test.each<[unknown, string]>([
  [new Error('one\n  two\tthree'), 'one two three'],
  ['plain', 'plain'],
  [undefined, 'undefined'],
  [new Error('x'.repeat(5000)), 'x'.repeat(1000)],
])('the message of anything thrown is one short line', (error, message) =>
  expect(messageOf(error)).toBe(message),
)
