import { ReflashError } from './errors.ts'

const plainWord = /^[\w./:@%+,-]+$/
/** A shell gives these a meaning of their own where a command is expected, unless they are quoted. */
const reservedWords = new Set(
  'if then else elif fi do done case esac while until for in function select time'.split(' '),
)

const quoteWord = (word: string, index: number): string => {
  if (word.includes('\0')) throw new ReflashError('Invalid', 'a command argument contains a NUL byte')
  if (!word.isWellFormed()) throw new ReflashError('Invalid', 'a command argument is no well-formed text')
  if (plainWord.test(word) && !(index === 0 && reservedWords.has(word))) return word
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/**
 * One line of POSIX shell that runs exactly this argument list: nothing in it is expanded, split or interpreted.
 * A newline inside an argument is kept as it is. @throws ReflashError `Invalid` for an empty list, NUL, or lone surrogates.
 */
export const quoteCommand = (command: readonly string[]): string => {
  if (command.length === 0) throw new ReflashError('Invalid', 'a command needs at least a program')
  return command.map(quoteWord).join(' ')
}
