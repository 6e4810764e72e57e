import { expect, test } from 'vitest'
import { appendLog } from '../../src/core/log-lines.ts'

test('keeps the last 40 lines, each of a bounded length', () => {
  let lines: string[] = []
  for (let count = 1; count <= 100; count += 1) lines = appendLog(Object.freeze(lines), `line ${count}`)
  expect(lines).toHaveLength(40)
  expect(lines[0]).toBe('line 61')
  expect(lines.at(-1)).toBe('line 100')
  expect(appendLog([], 'x'.repeat(5000))[0]).toHaveLength(1024)
  expect(appendLog([], `${'x'.repeat(1023)}😀`)[0]!.isWellFormed()).toBe(true)
})
