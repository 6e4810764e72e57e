import { CST, Lexer, Parser } from 'yaml'

const maxDepth = 64
/** More than any manifest has; a document of this many words takes about 60 MB to read. */
const maxLexemes = 100_000

export const limitWords = {
  TooDeep: `must not be nested deeper than ${maxDepth}`,
  TooLarge: `must not have more than ${maxLexemes} words and signs in one document`,
} as const

export interface Limit {
  limit: keyof typeof limitWords
  offset: number
}

/**
 * The parser's tokens, one document after the other, up to the first that is too deep or too large. That is seen in the
 * bare words, before the parser builds anything: running out of memory, even in a thread, ends the whole program.
 */
export function* boundedTokens(
  text: string,
  onNewLine: (offset: number) => void,
): Generator<CST.Token | Limit> {
  const parser = new Parser(onNewLine)
  const exceeds = createGuard()
  let offset = 0
  for (const lexeme of new Lexer().lex(text)) {
    const limit = exceeds(lexeme)
    if (limit !== undefined) {
      yield { limit, offset }
      return
    }
    if (!isMark(lexeme)) offset += lexeme.length
    yield* checkedTokens(parser.next(lexeme))
  }
  yield* checkedTokens(parser.end())
}

/** Lexemes that stand for no text. */
const isMark = (lexeme: string): boolean =>
  lexeme === CST.DOCUMENT || lexeme === CST.FLOW_END || lexeme === CST.SCALAR

function createGuard(): (lexeme: string) => keyof typeof limitWords | undefined {
  let lexemes = 0
  let flowDepth = 0
  let blocksOnLine = 0
  let isScalarNext = false
  return (lexeme) => {
    // What follows the mark is text, although it may look like a sign.
    const type = isScalarNext ? 'scalar' : CST.tokenType(lexeme)
    isScalarNext = lexeme === CST.SCALAR
    lexemes += 1
    if (type === 'doc-mode' || type === 'doc-start') [lexemes, flowDepth, blocksOnLine] = [0, 0, 0]
    else if (type === 'newline') blocksOnLine = 0
    else if (type === 'flow-map-start' || type === 'flow-seq-start') flowDepth += 1
    else if (type === 'flow-map-end' || type === 'flow-seq-end') flowDepth -= 1
    else if (flowDepth === 0 && (type === 'seq-item-ind' || type === 'explicit-key-ind')) blocksOnLine += 1
    if (flowDepth > maxDepth || blocksOnLine > maxDepth) return 'TooDeep'
    return lexemes > maxLexemes ? 'TooLarge' : undefined
  }
}

function* checkedTokens(tokens: Iterable<CST.Token>): Generator<CST.Token | Limit> {
  for (const token of tokens) {
    const offset = deepOffset(token)
    if (offset !== undefined) {
      yield { limit: 'TooDeep', offset }
      return
    }
    yield token
  }
}

/** Offset of a part that is nested too deep. Looks with a stack of its own: the composer's recursion has a limit. */
function deepOffset(top: CST.Token): number | undefined {
  const stack: { token: CST.Token; depth: number }[] = [{ token: top, depth: 0 }]
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const { token, depth } = entry
    if (depth > maxDepth) return token.offset
    if (token.type === 'document' && token.value) stack.push({ token: token.value, depth })
    if (!('items' in token)) continue
    for (const { key, value } of token.items) {
      if (key) stack.push({ token: key, depth: depth + 1 })
      if (value) stack.push({ token: value, depth: depth + 1 })
    }
  }
  return undefined
}
