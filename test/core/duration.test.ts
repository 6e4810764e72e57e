import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/core/duration.ts'
import { ReflashError } from '../../src/core/errors.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

describe('parseDuration', () => {
  test.each([
    ['250ms', 250],
    ['0s', 0],
    ['90s', 90 * second],
    ['15m', 15 * minute],
    ['1h30m', 90 * minute],
    ['2d', 2 * day],
    ['1m1ms', minute + 1],
    ['1s1s', 2 * second],
    ['007s', 7 * second],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms))

  test.each([
    '',
    '5',
    's',
    '1.5h',
    '-1s',
    '1h ',
    ' 1h',
    '1h 5x',
    '1H',
    '1w',
    '1h\n',
    '１s',
    `${'9'.repeat(30)}d`,
  ])('refuses %j', (text) => {
    let error: unknown
    try {
      parseDuration(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ReflashError)
    expect((error as ReflashError).code).toBe('Invalid')
    expect((error as ReflashError).message).toContain(`"${text}" is`)
  })

  test('adds up whatever is joined', () => {
    const part = fc.tuple(fc.nat(9999), fc.constantFrom('ms', 's', 'm', 'h', 'd'))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const texts = parts.map(([count, unit]) => `${count}${unit}`)
        const sum = texts.reduce((total, text) => total + parseDuration(text), 0)
        expect(parseDuration(texts.join(''))).toBe(sum)
      }),
    )
  })
})

describe('formatDuration, as kubectl prints ages', () => {
  test.each([
    [-5, '0s'],
    [999, '0s'],
    [second, '1s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [5 * minute + 30 * second, '5m30s'],
    [10 * minute - second, '9m59s'],
    [10 * minute + 30 * second, '10m'],
    [3 * hour - second, '179m'],
    [3 * hour, '3h'],
    [8 * hour - minute, '7h59m'],
    [8 * hour + 30 * minute, '8h'],
    [2 * day - second, '47h'],
    [2 * day, '2d'],
    [8 * day - hour, '7d23h'],
    [8 * day + hour, '8d'],
    [729 * day, '729d'],
    [730 * day, '2y'],
    [735 * day, '2y5d'],
    [3000 * day, '8y'],
  ])('%i ms', (ms, text) => expect(formatDuration(ms)).toBe(text))

  test('is never more than what has passed, and by less than one of its smallest unit', () => {
    const yearDays = (text: string): string =>
      text.replace(/(\d+)y/, (_, years: string) => `${Number(years) * 365}d`)
    fc.assert(
      fc.property(fc.nat(8 * 365 * day), (ms) => {
        const text = formatDuration(ms)
        const told = parseDuration(yearDays(text))
        const smallest = parseDuration(yearDays(`1${text.at(-1)!}`))
        expect(told).toBeLessThanOrEqual(ms)
        expect(ms - told).toBeLessThan(smallest)
      }),
    )
  })
})
