import { ReflashError } from './errors.ts'
import { quoted } from './printable.ts'

export type Operator = '==' | '!=' | '<=' | '>=' | '<' | '>'
export type Operand = { type: 'path'; steps: Step[] } | { type: 'value'; value: unknown }

export type Step =
  | { type: 'field'; name: string }
  | { type: 'wildcard' }
  | { type: 'recursion' }
  | { type: 'index'; index: number }
  | { type: 'slice'; start: number | undefined; end: number | undefined; step: number }
  | { type: 'union'; members: Step[] }
  | { type: 'filter'; left: Operand; comparison: { operator: Operator; right: Operand } | undefined }

export type Part =
  | { type: 'text'; text: string }
  | { type: 'path'; steps: Step[] }
  | { type: 'range'; steps: Step[]; body: Part[] }

const maxCharacters = 4096
/** Of an expression, in a message about it. */
const maxShown = 500
/** Ranges, brackets and filters within each other. */
const maxNesting = 8

/** One expression, with or without its braces and its first dot. @throws ReflashError `Invalid` with the position. */
export function readPath(text: string): Step[] {
  const trimmed = text.trim()
  const inner = trimmed.startsWith('{') && trimmed.endsWith('}') ? trimmed.slice(1, -1).trim() : trimmed
  const reader = createReader(/^[$@.[]/.test(inner) || inner === '' ? inner : `.${inner}`)
  const steps = readSteps(reader, 0)
  if (!reader.atEnd()) throw reader.error('unexpected text')
  return steps
}

/** Text with expressions in braces. @throws ReflashError `Invalid` with the position. */
export const readTemplate = (text: string): Part[] => readParts(createReader(text), 0)

type Reader = ReturnType<typeof createReader>

function createReader(text: string) {
  let at = 0
  const error = (what: string, position = at): ReflashError =>
    new ReflashError('Invalid', `JSONPath: ${what} at character ${position + 1} of ${quoted(text, maxShown)}`)
  if (text.length > maxCharacters)
    throw new ReflashError('Invalid', `JSONPath: longer than ${maxCharacters} characters`)
  return {
    error,
    position: () => at,
    atEnd: () => at >= text.length,
    sees: (token: string) => text.startsWith(token, at),
    /** Takes the token if it is next. */
    take(token: string): boolean {
      if (!text.startsWith(token, at)) return false
      at += token.length
      return true
    },
    expect(token: string): void {
      if (!this.take(token)) throw error(`expected ${token}`)
    },
    /** Takes what the sticky expression matches here. */
    match(pattern: RegExp): string | undefined {
      pattern.lastIndex = at
      const found = pattern.exec(text)?.[0]
      at += found?.length ?? 0
      return found
    },
    skipSpace(): void {
      this.match(/[ \t]*/y)
    },
  }
}

function readParts(reader: Reader, nesting: number): Part[] {
  if (nesting > maxNesting) throw reader.error('ranges are nested too deep')
  const parts: Part[] = []
  while (!reader.atEnd()) {
    const text = reader.match(/[^{]+/y)
    if (text !== undefined) {
      parts.push({ type: 'text', text })
      continue
    }
    const start = reader.position()
    reader.expect('{')
    reader.skipSpace()
    if (reader.match(/end(?=[ \t]*\})/y) !== undefined) {
      if (nesting === 0) throw reader.error('{end} without a {range}', start)
      closeAction(reader)
      return parts
    }
    if (reader.match(/range(?![\w-])/y) !== undefined) {
      reader.skipSpace()
      const steps = readSteps(reader, 0)
      closeAction(reader)
      parts.push({ type: 'range', steps, body: readParts(reader, nesting + 1) })
      continue
    }
    const quoted = reader.sees('"') || reader.sees("'")
    parts.push(
      quoted ? { type: 'text', text: readQuoted(reader) } : { type: 'path', steps: readSteps(reader, 0) },
    )
    closeAction(reader)
  }
  return parts
}

function closeAction(reader: Reader): void {
  reader.skipSpace()
  reader.expect('}')
}

function readSteps(reader: Reader, nesting: number): Step[] {
  const steps: Step[] = []
  if (!reader.take('$')) reader.take('@')
  for (;;) {
    if (reader.take('..')) {
      steps.push({ type: 'recursion' })
      if (!reader.sees('[')) steps.push(readField(reader))
    } else if (reader.take('.')) {
      // A lone dot is the value itself, and a bracket may follow a dot.
      if (reader.match(/(?=$|[ \t})[])/y) === undefined) steps.push(readField(reader))
    } else if (reader.take('[')) steps.push(readBracket(reader, nesting))
    else return steps
  }
}

function readField(reader: Reader): Step {
  if (reader.take('*')) return { type: 'wildcard' }
  const name = reader.match(/(?:\\.|[^\s.,[\]$@{}()'"\\!<>=*?])+/y)
  if (name === undefined) throw reader.error('expected a field')
  return { type: 'field', name: name.replaceAll(/\\(.)/g, '$1') }
}

function readBracket(reader: Reader, nesting: number): Step {
  if (nesting > maxNesting) throw reader.error('brackets are nested too deep')
  if (reader.take('?(')) return readFilter(reader, nesting)
  const members: Step[] = []
  do {
    reader.skipSpace()
    members.push(readMember(reader))
    reader.skipSpace()
  } while (reader.take(','))
  reader.expect(']')
  return members.length === 1 ? members[0]! : { type: 'union', members }
}

function readMember(reader: Reader): Step {
  if (reader.take('*')) return { type: 'wildcard' }
  if (reader.sees("'") || reader.sees('"')) return { type: 'field', name: readQuoted(reader) }
  const start = readInteger(reader)
  if (!reader.take(':')) {
    if (start === undefined) throw reader.error('expected an index, a quoted field or *')
    return { type: 'index', index: start }
  }
  const end = readInteger(reader)
  const position = reader.position()
  const step = reader.take(':') ? readInteger(reader) : 1
  if (step !== undefined && step <= 0) throw reader.error('a step must be above 0', position)
  return { type: 'slice', start, end, step: step ?? 1 }
}

function readInteger(reader: Reader): number | undefined {
  const digits = reader.match(/-?\d{1,9}(?!\d)/y)
  return digits === undefined ? undefined : Number(digits)
}

function readFilter(reader: Reader, nesting: number): Step {
  reader.skipSpace()
  const left = readOperand(reader, nesting)
  reader.skipSpace()
  const operator = reader.match(/[=!<>]=|[<>]/y) as Operator | undefined
  reader.skipSpace()
  const comparison = operator && { operator, right: readOperand(reader, nesting) }
  reader.skipSpace()
  reader.expect(')]')
  return { type: 'filter', left, comparison }
}

const words = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
])

function readOperand(reader: Reader, nesting: number): Operand {
  if (reader.sees('"') || reader.sees("'")) return { type: 'value', value: readQuoted(reader) }
  const literal = reader.match(/(?:true|false|null|[+-]?\d+(?:\.\d+)?)(?![\w.])/y)
  if (literal !== undefined)
    return { type: 'value', value: words.has(literal) ? words.get(literal) : Number(literal) }
  if (!reader.sees('@') && !reader.sees('.') && !reader.sees('['))
    throw reader.error('expected @, a number or a quoted text')
  return { type: 'path', steps: readSteps(reader, nesting + 1) }
}

const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r' }

function readQuoted(reader: Reader): string {
  const position = reader.position()
  const quoted = reader.match(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/sy)
  if (quoted === undefined) throw reader.error('a quoted text without its end', position)
  return quoted.slice(1, -1).replaceAll(/\\(.)/gs, (_, character: string) => escapes[character] ?? character)
}
