import { expect, test } from 'vitest'
import { appendLog, newLines } from '../../src/core/log-lines.ts'

test('keeps the last 40 lines, each of a bounded length', () => {
  let lines: string[] = []
  for (let count = 1; count <= 100; count += 1) lines = appendLog(Object.freeze(lines), `line ${count}`)
  expect(lines).toHaveLength(40)
  expect(lines[0]).toBe('line 61')
  expect(lines.at(-1)).toBe('line 100')
  expect(appendLog([], 'x'.repeat(5000))[0]).toHaveLength(1024)
  expect(appendLog([], `${'x'.repeat(1023)}😀`)[0]!.isWellFormed()).toBe(true)
})

test.each<[string, string[], string[], string[]]>([
  ['nothing is known', [], ['a', 'b'], ['a', 'b']],
  ['all is known', ['x: began', 'a', 'b'], ['a', 'b'], []],
  ['it has grown', ['a', 'x: went on', 'b'], ['a', 'b', 'c', 'd'], ['c', 'd']],
  ['its begin has scrolled away', ['a', 'b', 'c'], ['c', 'd'], ['d']],
  ['it is another log', ['a', 'b'], ['c'], ['c']],
  ['a line comes again', ['a', 'b'], ['a', 'b', 'c', 'a'], ['c', 'a']],
  ['a long line was cut', ['x'.repeat(1024)], ['x'.repeat(2000), 'y'], ['y']],
])('tells the new lines of a log that is read again: %s', (_what, known, shown, expected) => {
  expect(newLines(known, shown)).toEqual(expected)
})
