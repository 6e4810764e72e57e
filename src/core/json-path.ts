/**
 * The JSONPath that kubectl understands: `.a.b`, `['a.b']`, `[0]`, `[-1]`, `[1:3]`, `[0,2]`, `[*]`, `..a`,
 * `[?(@.type=="Ready")]`, and templates with `{range .items[*]}…{end}` and `{"\n"}`. What is missing gives nothing.
 */
import { ReflashError } from './errors.ts'
import {
  readPath,
  readTemplate,
  type Operand,
  type Operator,
  type Part,
  type Step,
} from './json-path-syntax.ts'

/** Of the data: no object of ours comes near, and a hostile one would overflow the stack. */
const maxDepth = 100
/** Values looked at in one evaluation; 10,000 devices hold about two million. */
const maxVisits = 10_000_000
const maxOutputCharacters = 64 * 1024 * 1024

/**
 * All values that one expression finds, in order. As with kubectl the braces and the first dot may be left out.
 * @throws ReflashError `Invalid` with the position; the function throws `TooLarge` when the data is beyond all bounds.
 */
export function compilePath(text: string): (value: unknown) => unknown[] {
  const steps = readPath(text)
  return (value) => evaluate(steps, [value], { visits: maxVisits })
}

/**
 * Writes a template out. Values that an expression finds are joined with a space; lists and objects are written as JSON.
 * @throws ReflashError `Invalid` with the position; the function throws `TooLarge` when the result is beyond all bounds.
 */
export function compileTemplate(text: string): (value: unknown) => string {
  const parts = readTemplate(text)
  return (value) => {
    const output = { texts: [] as string[], characters: 0 }
    write(parts, value, { output, budget: { visits: maxVisits } })
    return output.texts.join('')
  }
}

/** How kubectl prints a value. */
export const printValue = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '')

interface Budget {
  visits: number
}

function evaluate(steps: readonly Step[], start: unknown[], budget: Budget): unknown[] {
  let values = start
  for (const step of steps) {
    const next: unknown[] = []
    for (const value of values) take(step, value, { next, budget })
    values = next
  }
  return values
}

function take(step: Step, value: unknown, into: { next: unknown[]; budget: Budget }): void {
  const { next, budget } = into
  spend(budget)
  switch (step.type) {
    case 'field':
      if (isObject(value) && Object.hasOwn(value, step.name)) next.push(value[step.name])
      return
    case 'wildcard':
      for (const child of childrenOf(value)) {
        spend(budget)
        next.push(child)
      }
      return
    case 'recursion':
      return descend(value, 0, into)
    case 'union':
      for (const member of step.members) take(member, value, into)
      return
    case 'index':
    case 'slice':
    case 'filter':
      if (Array.isArray(value)) takeItems(step, value, into)
  }
}

function takeItems(
  step: Step & { type: 'index' | 'slice' | 'filter' },
  list: readonly unknown[],
  { next, budget }: { next: unknown[]; budget: Budget },
): void {
  if (step.type === 'index') {
    if (step.index < list.length && step.index >= -list.length) next.push(list.at(step.index))
    return
  }
  if (step.type === 'filter') {
    for (const item of list) if (passes(step, item, budget)) next.push(item)
    return
  }
  const items = list.slice(step.start, step.end)
  for (let index = 0; index < items.length; index += step.step) {
    spend(budget)
    next.push(items[index])
  }
}

/** Every list and object from here down, itself first. */
function descend(value: unknown, depth: number, into: { next: unknown[]; budget: Budget }): void {
  if (typeof value !== 'object' || value === null) return
  if (depth > maxDepth)
    throw new ReflashError('TooLarge', `JSONPath: the data is nested deeper than ${maxDepth}`)
  into.next.push(value)
  for (const child of childrenOf(value)) {
    spend(into.budget)
    descend(child, depth + 1, into)
  }
}

function passes(step: Step & { type: 'filter' }, item: unknown, budget: Budget): boolean {
  spend(budget)
  const left = operandValues(step.left, item, budget)
  if (!step.comparison) return left.length > 0
  const right = operandValues(step.comparison.right, item, budget)
  return left.length === 1 && right.length === 1 && compare(left[0], step.comparison.operator, right[0])
}

const operandValues = (operand: Operand, item: unknown, budget: Budget): unknown[] =>
  operand.type === 'value' ? [operand.value] : evaluate(operand.steps, [item], budget)

function compare(left: unknown, operator: Operator, right: unknown): boolean {
  if (operator === '==') return left === right
  if (operator === '!=') return left !== right
  const ordered =
    (typeof left === 'number' && typeof right === 'number') ||
    (typeof left === 'string' && typeof right === 'string')
  if (!ordered) return false
  if (operator === '<') return left < right
  if (operator === '>') return left > right
  return operator === '<=' ? left <= right : left >= right
}

function spend(budget: Budget): void {
  budget.visits -= 1
  if (budget.visits < 0) throw new ReflashError('TooLarge', 'JSONPath: too many values to look at')
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const childrenOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []

interface Output {
  texts: string[]
  characters: number
}

function write(parts: readonly Part[], value: unknown, into: { output: Output; budget: Budget }): void {
  for (const part of parts) {
    if (part.type === 'text') append(into.output, part.text)
    else if (part.type === 'path')
      append(into.output, evaluate(part.steps, [value], into.budget).map(printValue).join(' '))
    else for (const item of evaluate(part.steps, [value], into.budget)) write(part.body, item, into)
  }
}

function append(output: Output, text: string): void {
  output.characters += text.length
  if (output.characters > maxOutputCharacters)
    throw new ReflashError(
      'TooLarge',
      `JSONPath: the output is longer than ${maxOutputCharacters} characters`,
    )
  output.texts.push(text)
}
