import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLog, type LogLevel } from '../../src/adapters/log/log.ts'
import { createLogSink } from '../../src/adapters/log/pino-sink.ts'
import { ReflashError } from '../../src/core/errors.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'

const operation = { namespace: 'default', name: 'ap-17-73ae27cf-1' }
const device = { namespace: 'default', name: 'ap-17' }
const ofOperation = { controller: 'operation', ...operation, operation: operation.name }

/** The raw lines that one event makes. */
function linesOf(event: FleetEvent, level: LogLevel = 'debug'): string[] {
  const lines: string[] = []
  createLogSink({ level, write: (line) => lines.push(line) }).emit(event)
  return lines
}
const parsed = (line: string): Record<string, unknown> => JSON.parse(line) as Record<string, unknown>
/** The one line that an event makes, without its time. */
function lineOf(event: FleetEvent): Record<string, unknown> {
  const lines = linesOf(event)
  expect(lines).toHaveLength(1)
  const { time, ...rest } = parsed(lines[0]!)
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  return rest
}

describe('a fleet event becomes one line', () => {
  test.each<[FleetEvent, Record<string, unknown>]>([
    [
      { type: 'Phase', operation, device, phase: 'Uploading', message: 'sends 8 MiB' },
      { level: 'info', ...ofOperation, device: 'ap-17', phase: 'Uploading', msg: 'sends 8 MiB' },
    ],
    [
      { type: 'Phase', operation, device, phase: 'Failed', message: 'never came back' },
      { level: 'error', ...ofOperation, device: 'ap-17', phase: 'Failed', msg: 'never came back' },
    ],
    [
      { type: 'Progress', operation, device, percent: 50, sentBytes: 4, totalBytes: 8 },
      {
        level: 'debug',
        ...ofOperation,
        device: 'ap-17',
        percent: 50,
        sentBytes: 4,
        totalBytes: 8,
        msg: 'uploading',
      },
    ],
    [
      { type: 'Log', operation, line: 'Upgrade completed' },
      { level: 'debug', ...ofOperation, msg: 'Upgrade completed' },
    ],
    [
      { type: 'Warning', kind: 'Device', object: device, reason: 'AuthFailed', message: 'refused' },
      { level: 'warn', controller: 'device', ...device, reason: 'AuthFailed', msg: 'refused' },
    ],
    [
      { type: 'Warning', reason: 'DirectoryVanished', message: 'fleet/ is gone' },
      { level: 'warn', reason: 'DirectoryVanished', msg: 'fleet/ is gone' },
    ],
    [
      { type: 'Info', kind: 'UpgradePolicy', object: device, reason: 'Converged', message: 'done' },
      { level: 'info', controller: 'policy', ...device, reason: 'Converged', msg: 'done' },
    ],
  ])('%j', (event, line) => expect(lineOf(event)).toEqual(line))

  test('a bug comes with type, code, stack and causes', () => {
    const cause = new ReflashError('ConnectionLost', 'reset', {
      cause: Object.assign(new Error('read'), { code: 'ECONNRESET' }),
    })
    const line = lineOf({
      type: 'Bug',
      controller: 'device',
      key: 'default/ap-17',
      error: new TypeError('x\ny', { cause }),
    })
    expect(line).toMatchObject({
      level: 'error',
      controller: 'device',
      namespace: 'default',
      name: 'ap-17',
      reason: 'InternalError',
    })
    expect(line['error']).toMatchObject({
      type: 'TypeError',
      message: 'x y',
      stack: expect.stringContaining('pino-sink.test.ts') as unknown,
      cause: { type: 'ReflashError', code: 'ConnectionLost', cause: { code: 'ECONNRESET' } },
    })
  })

  test('a bug may be anything, about any key', () => {
    const circular = new Error('round')
    circular.cause = circular
    for (const error of ['text', undefined, null, 42, circular]) {
      expect(lineOf({ type: 'Bug', controller: 'device', key: 'odd', error })).toMatchObject({
        name: 'odd',
        level: 'error',
      })
    }
  })
})

test.each<[LogLevel, string[]]>([
  ['debug', ['debug', 'info', 'warn', 'error']],
  ['info', ['info', 'warn', 'error']],
  ['warn', ['warn', 'error']],
  ['error', ['error']],
])('level %s lets %j through', (level, expected) => {
  const lines: string[] = []
  const log = createLog({ level, write: (line) => lines.push(line) })
  for (const word of ['debug', 'info', 'warn', 'error'] as const) log[word]('hello')
  expect(lines.map((line) => parsed(line)['level'])).toEqual(expected)
})

test('progress is left out unless somebody debugs', () => {
  expect(
    linesOf({ type: 'Progress', operation, device, percent: 1, sentBytes: 1, totalBytes: 100 }, 'info'),
  ).toEqual([])
})

test('a plain message is taken as it is, and a huge one is cut', () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', write: (line) => lines.push(line) })
  log.info('100 %d of %s %o', { reason: 'Started' })
  log.info('x'.repeat(100_000))
  expect(parsed(lines[0]!)).toMatchObject({ msg: '100 %d of %s %o', reason: 'Started' })
  expect((parsed(lines[1]!)['msg'] as string).length).toBe(4096)
})

test('no text can break a line, reach a terminal, or be lost', () => {
  const nasty = fc.string({
    unit: fc.oneof(
      fc.constantFrom(
        '\n',
        '\r',
        '\0',
        '\u001b[2J',
        '\u009b31m',
        '\u2028',
        '\u2029',
        '\u202e',
        '\u2066',
        '\u007f',
        '"',
        '\\',
        '\ud800',
        '😀',
      ),
      fc.string({ unit: 'binary', maxLength: 1 }),
    ),
    maxLength: 60,
  })
  fc.assert(
    fc.property(nasty, nasty, (message, name) => {
      const [line] = linesOf({
        type: 'Warning',
        kind: 'Device',
        object: { namespace: 'n', name },
        reason: 'R',
        message,
      })
      expect(line).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]*\n$/u)
      expect(parsed(line!)).toMatchObject({ msg: message, name })
    }),
    { numRuns: 500 },
  )
})
