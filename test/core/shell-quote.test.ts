import { execFileSync, spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { quoteCommand } from '../../src/core/shell-quote.ts'
import { requires } from '../support/requires.ts'

const shells = [
  { program: 'sh', argv: ['sh', '-c'] },
  { program: 'busybox', argv: ['busybox', 'ash', '-c'] },
]

/** What a shell could take for more than itself. */
const special = '\'"\\$`!*?[]{}()<>|&;#~=%^ \t\r\n-a'.split('')

for (const { program, argv } of shells) {
  const [file = '', ...options] = argv
  requires(program)(`quoteCommand and ${argv.join(' ')}`, () => {
    test('the shell hands over exactly the words', () => {
      const word = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom(...special) }))
      const words = fc.array(
        word.filter((text) => !text.includes('\0') && text.isWellFormed()),
        { minLength: 1, maxLength: 8 },
      )
      fc.assert(
        fc.property(words, (args) => {
          const line = quoteCommand(['printf', String.raw`%s\0`, ...args])
          const said = execFileSync(file, [...options, line], { encoding: 'utf8' })
          expect(said.split('\0').slice(0, -1)).toEqual(args)
        }),
        { numRuns: 300 },
      )
    })

    test.each(['if', 'while', '{', '!', 'X=1', '~', '(true)', '#', 'a b', ''])(
      'a program called %j is looked for by that name',
      (name) => {
        const { status } = spawnSync(file, [...options, quoteCommand([name, 'x'])])
        // 127: not found; 126: found but no program ("").
        expect([126, 127]).toContain(status)
      },
    )
  })
}

describe('quoteCommand', () => {
  test('leaves plain words readable', () => {
    expect(quoteCommand(['sysupgrade', '-T', '/tmp/fw.bin'])).toBe('sysupgrade -T /tmp/fw.bin')
  })

  test.each([
    { name: 'an empty list', command: [], message: 'a command needs at least a program' },
    { name: 'a NUL byte', command: ['echo', 'a\0b'], message: 'a command argument contains a NUL byte' },
    {
      name: 'a lone surrogate',
      command: ['echo', '\ud800'],
      message: 'a command argument is no well-formed text',
    },
  ])('refuses $name', ({ command, message }) => {
    expect(() => quoteCommand(command)).toThrow(expect.objectContaining({ code: 'Invalid', message }))
  })

  test('quotes a word with a meaning of its own where that is meant, and nowhere else', () => {
    expect(quoteCommand(['if', 'if', 'time'])).toBe("'if' if time")
  })
})
