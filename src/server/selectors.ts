import type { Schema } from '../api/schema.ts'
import { ReflashError } from '../core/errors.ts'
import type { ApiObject, ResourceInfo } from './collection.ts'
import { quoted } from '../core/printable.ts'

export type Matches = (object: ApiObject) => boolean

const labelName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const labelPrefix = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

/**
 * Kubernetes' label selectors: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, `a>1`, `a<1`, joined by
 * commas. Undefined when it takes everything. @throws ReflashError `Invalid`.
 */
export function parseLabelSelector(text: string): Matches | undefined {
  if (text.trim() === '') return undefined
  const requirements = splitTerms(text).map(parseRequirement)
  return ({ metadata: { labels = {} } }) =>
    requirements.every(({ key, holds }) => holds(Object.hasOwn(labels, key) ? labels[key] : undefined))
}

interface Requirement {
  key: string
  holds: (value: string | undefined) => boolean
}

const setTerm = /^(?<key>[^\s!=<>(),]+)\s+(?<operator>in|notin)\s*\((?<values>[^()]*)\)$/
const valueTerm = /^(?<key>[^\s!=<>(),]+)\s*(?<operator>==|=|!=|>|<)\s*(?<value>[^\s!=<>(),]*)$/
const existsTerm = /^(?<not>!?)\s*(?<key>[^\s!=<>(),]+)$/

function parseRequirement(term: string): Requirement {
  const set = setTerm.exec(term)?.groups
  if (set) {
    const values = new Set(set['values']!.split(',').map((value) => labelValue(value.trim())))
    const wanted = set['operator'] === 'in'
    return {
      key: labelKey(set['key']!),
      // What is not there is in no set.
      holds: (value) => (value !== undefined && values.has(value)) === wanted,
    }
  }
  const single = valueTerm.exec(term)?.groups
  if (single) {
    return { key: labelKey(single['key']!), holds: comparison(single['operator']!, single['value']!) }
  }
  const exists = existsTerm.exec(term)?.groups
  if (!exists) throw malformed('label', term)
  const wanted = exists['not'] === ''
  return { key: labelKey(exists['key']!), holds: (value) => (value !== undefined) === wanted }
}

function comparison(operator: string, operand: string): Requirement['holds'] {
  const wanted = labelValue(operand)
  if (operator === '!=') return (value) => value !== wanted
  if (operator !== '>' && operator !== '<') return (value) => value === wanted
  const limit = integer(wanted)
  if (limit === undefined) {
    throw new ReflashError('Invalid', `label selector: ${show(operand)} must be an integer after ${operator}`)
  }
  return (value) => {
    const number = value === undefined ? undefined : integer(value)
    if (number === undefined) return false
    return operator === '>' ? number > limit : number < limit
  }
}

const integer = (text: string): bigint | undefined => (/^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined)

function labelKey(key: string): string {
  const [name, prefix, ...more] = key.split('/').toReversed() as [string, ...string[]]
  const isValid = labelName.test(name) && (prefix === undefined || labelPrefix.test(prefix))
  if (!isValid || more.length > 0)
    throw new ReflashError('Invalid', `label selector: ${show(key)} is no label`)
  return key
}

function labelValue(value: string): string {
  if (value === '' || labelName.test(value)) return value
  throw new ReflashError('Invalid', `label selector: ${show(value)} is no value of a label`)
}

/** At commas that are in no parentheses. */
function splitTerms(text: string): string[] {
  const terms = text.match(/(?:[^,()]|\([^()]*\))+/g)?.map((term) => term.trim()) ?? []
  const isWhole = text.replaceAll(/\([^()]*\)/g, '').split(',').length === terms.length
  if (!isWhole || terms.includes('') || /[()]/.test(text.replaceAll(/\([^()]*\)/g, ''))) {
    throw malformed('label', text)
  }
  return terms
}

const malformed = (what: string, text: string): ReflashError =>
  new ReflashError('Invalid', `${what} selector: cannot understand ${show(text)}`)

const show = (text: string): string => quoted(text, 100)

/**
 * Field selectors: `a.b=c`, `a.b==c` and `a.b!=c`, joined by commas, over fields that hold one plain value; what is missing
 * is the empty text. Undefined when it takes everything. @throws ReflashError `Invalid`.
 */
export function parseFieldSelector(text: string, info: ResourceInfo): Matches | undefined {
  if (text.trim() === '') return undefined
  const terms = splitFieldTerms(text).map((term) => {
    const found = /^(?<path>[\w.]+)(?<operator>==|=|!=)(?<value>(?:\\.|[^\\=])*)$/s.exec(term)?.groups
    if (!found) throw malformed('field', term)
    const path = found['path']!.split('.')
    if (!isSelectable(info, path)) {
      throw new ReflashError(
        'Invalid',
        `field selector: ${info.kind} has no field ${found['path']} to select by`,
      )
    }
    return { path, wanted: found['operator'] !== '!=', value: found['value']!.replaceAll(/\\(.)/gs, '$1') }
  })
  return (object) => terms.every(({ path, wanted, value }) => (fieldOf(object, path) === value) === wanted)
}

/** At commas that no backslash stands before. */
const splitFieldTerms = (text: string): string[] => {
  const terms = text.match(/(?:\\.|[^\\,])+/gs)?.map((term) => term.trim()) ?? []
  const isWhole = text.replaceAll(/\\./gs, '').split(',').length === terms.length
  if (!isWhole || terms.includes('') || /(?<!\\)(?:\\\\)*\\$/.test(text)) throw malformed('field', text)
  return terms
}

const metadataFields = new Set(['name', 'namespace', 'uid'])
const plainTypes = new Set(['string', 'integer', 'number', 'boolean'])

function isSelectable({ schema, namespaced }: ResourceInfo, path: readonly string[]): boolean {
  const [first, second] = path
  if (first === 'metadata') {
    return path.length === 2 && metadataFields.has(second!) && (namespaced || second !== 'namespace')
  }
  let at: Schema | undefined = schema
  for (const name of path) {
    const properties: Record<string, Schema> = at?.properties ?? {}
    at = Object.hasOwn(properties, name) ? properties[name] : undefined
  }
  return plainTypes.has(at?.type ?? '')
}

function fieldOf(object: ApiObject, path: readonly string[]): string {
  let at: unknown = object
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return ''
    at = (at as Record<string, unknown>)[name]
  }
  return typeof at === 'object' ? '' : String((at as string | number | boolean | undefined) ?? '')
}
