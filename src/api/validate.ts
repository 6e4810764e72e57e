import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { isKind, kindInfo, kinds } from './kinds.ts'
import { describe, invalid, isRecord, readMetadata, unknownField } from './metadata.ts'
import { nearest } from './nearest.ts'
import type { Path, Problem } from './problem.ts'
import type { Kind, Manifest } from './resources.ts'
import { brokenRules } from './rules.ts'
import { apiVersion, labelKeyPattern, type Schema } from './schema.ts'

export interface AcceptOptions {
  /** In a file an unknown field and a null are errors; an API server drops both. */
  mode: 'file' | 'server'
  /** The text that a scalar was written as, where there is one: 24.10 has become 24.1 by now. */
  sourceText?: (path: Path) => string | undefined
}

export type Acceptance = { ok: true; manifest: Manifest } | { ok: false; problems: Problem[] }

/** Checks one manifest as an API server would: prune, default, validate. The manifest is a copy, with every default. */
export function acceptManifest(value: unknown, options: AcceptOptions): Acceptance {
  const report = createReport(options)
  const kind = readKind(value, report)
  if (kind === undefined || !isRecord(value)) return { ok: false, problems: report.problems }

  if (options.mode === 'file') refuseUnknownTop(value, report)
  const metadata = readMetadata(value['metadata'], {
    add: report.add,
    notText: (text, path) => wrongType(text, { type: 'string' }, path, options),
    unknownFields: options.mode === 'file' ? 'refuse' : 'drop',
  })
  const { spec: specSchema, rules } = kindInfo(kind)
  const problemsBefore = report.problems.length
  const spec = value['spec'] === undefined ? undefined : prune(value['spec'], specSchema, ['spec'], report)
  const hasLost = report.problems.length > problemsBefore
  const candidate: Record<string, unknown> = spec === undefined ? {} : { spec }
  const validate = validatorOf(kind)
  const errors = validate(candidate) ? [] : (validate.errors ?? [])
  for (const error of errors) addSchemaError(error, candidate, report)
  checkLists(candidate['spec'], specSchema, ['spec'], report)
  if (!hasLost && !errors.some(({ keyword }) => keepsRulesBack.has(keyword))) {
    for (const { message, fieldPath } of brokenRules(rules, candidate['spec'] as object)) {
      report.add({
        reason: 'Invalid',
        path: rulePath(fieldPath),
        message,
        expected: message,
        found: 'something else',
      })
    }
  }
  if (report.problems.length > 0) return { ok: false, problems: report.problems }
  return { ok: true, manifest: { apiVersion, kind, metadata, spec: candidate['spec'] } as Manifest }
}

/** After these an API server tries no rule, nor do we after a field is lost: what is not there breaks rules that nobody broke. */
const keepsRulesBack = new Set(['required', 'type', 'enum', 'maxLength', 'maxItems', 'maxProperties'])

/** What may not change between two accepted versions of one object, but did. */
export const changeProblems = (before: Manifest, after: Manifest): Problem[] =>
  brokenRules(kindInfo(after.kind).rules, after.spec, before.spec).map(({ message, fieldPath }) => ({
    reason: 'Invalid',
    path: rulePath(fieldPath),
    message: `cannot change: ${message}`,
    expected: message,
    found: 'a change',
  }))

const rulePath = (fieldPath: string | undefined): Path => [
  'spec',
  ...(fieldPath ?? '').split('.').filter(Boolean),
]

interface Report extends AcceptOptions {
  problems: Problem[]
  /** Keeps the first problem of each place: what follows is usually its consequence. */
  add: (problem: Problem) => void
}

function createReport(options: AcceptOptions): Report {
  const places = new Set<string>()
  const problems: Problem[] = []
  const add = (problem: Problem): void => {
    const place = JSON.stringify(problem.path)
    if (places.has(place)) return
    places.add(place)
    problems.push(problem)
  }
  return { ...options, problems, add }
}

function readKind(value: unknown, report: Report): Kind | undefined {
  if (!isRecord(value)) {
    report.add(invalid([], 'must be a map', 'a map', value))
    return undefined
  }
  if (value['apiVersion'] !== apiVersion) {
    const message = `must be ${apiVersion}, found ${describe(value['apiVersion'])}`
    const found = describe(value['apiVersion'])
    report.add({ reason: 'UnknownKind', path: ['apiVersion'], message, expected: apiVersion, found })
    return undefined
  }
  const kind = value['kind']
  if (typeof kind === 'string' && isKind(kind)) return kind
  const names = kinds.map((info) => info.kind)
  const suggestion = typeof kind === 'string' ? nearest(kind, names) : undefined
  const message = `must be one of ${names.join(', ')}, found ${describe(kind)}${didYouMean(suggestion)}`
  report.add({
    reason: 'UnknownKind',
    path: ['kind'],
    message,
    expected: names.join(', '),
    found: describe(kind),
    ...(suggestion === undefined ? {} : { suggestion }),
  })
  return undefined
}

const didYouMean = (suggestion: string | undefined): string =>
  suggestion === undefined ? '' : `; did you mean ${suggestion}?`

function refuseUnknownTop(value: Record<string, unknown>, report: Report): void {
  const known = ['apiVersion', 'kind', 'metadata', 'spec']
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const problem = unknownField([key], known)
    report.add(
      key === 'status' ? { ...problem, message: 'is written by the controller; remove it' } : problem,
    )
  }
}

/** A copy without what the schema does not know and without nulls; in a file each of these is reported. */
function prune(value: unknown, schema: Schema, path: Path, report: Report): unknown {
  if (value === null) {
    const message = 'must not be null; leave the field out for its default, or give it a value'
    if (report.mode === 'file') {
      report.add({ reason: 'Invalid', path, message, expected: 'a value, or no such field', found: 'null' })
    }
    return undefined
  }
  if (Array.isArray(value) && schema.items) {
    return value.map((item, index) => prune(item, schema.items!, [...path, index], report))
  }
  if (isRecord(value) && schema.type === 'object') return pruneObject(value, schema, path, report)
  if (schema.type === 'integer' && typeof value === 'number') checkNotation(path, report)
  return value
}

function pruneObject(value: Record<string, unknown>, schema: Schema, path: Path, report: Report): unknown {
  const { properties, additionalProperties } = schema
  const copy: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) {
    const place = [...path, key]
    const itemSchema =
      properties && Object.hasOwn(properties, key) ? properties[key] : additionalProperties || undefined
    if (!itemSchema) {
      if (report.mode === 'file') report.add(unknownProperty(place, Object.keys(properties ?? {})))
    } else if (key === '__proto__') {
      // As a key of `copy` it would be no key.
      const message = 'is a name that is not allowed as a key'
      report.add({ reason: 'BadName', path: place, message, expected: 'another key', found: key })
    } else {
      const kept = prune(item, itemSchema, place, report)
      if (kept !== undefined) copy[key] = kept
    }
  }
  return copy
}

function unknownProperty(path: Path, known: readonly string[]): Problem {
  const problem = unknownField(path, known)
  const [parent, key] = path.slice(-2)
  const leavesNamespace = key === 'namespace' && String(parent).endsWith('Ref')
  const message = 'must be left out: objects refer to objects of their own namespace alone'
  return leavesNamespace ? { ...problem, message } : problem
}

/** YAML reads 0x10, 1e3 and 0o7 as numbers; in a limit they are more likely a slip than meant. */
function checkNotation(path: Path, report: Report): void {
  const source = report.sourceText?.(path)
  if (source === undefined || /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(source)) return
  const message = `must be written in plain decimal digits, found ${describe(source).slice(1, -1)}`
  report.add({ reason: 'Invalid', path, message, expected: 'decimal digits', found: source })
}

/** What ajv does not know: lists that are sets or maps. */
function checkLists(value: unknown, schema: Schema, path: Path, report: Report): void {
  if (Array.isArray(value) && schema.items) {
    const seen = new Map<string, number>()
    value.forEach((item, index) => {
      checkLists(item, schema.items!, [...path, index], report)
      const identity = listIdentity(item, schema)
      if (identity === undefined) return
      const first = seen.get(identity)
      if (first === undefined) seen.set(identity, index)
      else addDuplicate([...path, index], identity, first, report)
    })
  } else if (isRecord(value)) {
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (value[key] !== undefined) checkLists(value[key], property, [...path, key], report)
    }
  }
}

function listIdentity(item: unknown, schema: Schema): string | undefined {
  const listType = schema['x-kubernetes-list-type']
  if (listType === 'set') return JSON.stringify(item)
  if (listType !== 'map' || !isRecord(item)) return undefined
  return JSON.stringify((schema['x-kubernetes-list-map-keys'] as string[]).map((key) => item[key]))
}

function addDuplicate(path: Path, identity: string, first: number, report: Report): void {
  const message = `is ${identity} once more, as entry ${first} is already`
  report.add({ reason: 'Duplicate', path, message, expected: 'each value once', found: identity })
}

// Compiled at first use: most runs need few kinds.
const validators = new Map<Kind, ValidateFunction>()
let ajv: Ajv | undefined

function validatorOf(kind: Kind): ValidateFunction {
  let validator = validators.get(kind)
  if (!validator) {
    ajv ??= createAjv()
    const { spec } = kindInfo(kind)
    validator = ajv.compile({
      type: 'object',
      properties: { spec },
      required: spec.default === undefined ? ['spec'] : [],
    })
    validators.set(kind, validator)
  }
  return validator
}

function createAjv(): Ajv {
  const instance = new Ajv({ strict: true, useDefaults: true, allErrors: true, verbose: true })
  instance.addVocabulary(['x-kubernetes-list-type', 'x-kubernetes-list-map-keys'])
  instance.addFormat('date-time', hasDay)
  return instance
}

/** Whether it begins with a day that exists; the rest is what the pattern beside the format says. */
function hasDay(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})T/.exec(text)?.map(Number) ?? []
  if (year === undefined) return false
  const date = new Date(0)
  date.setUTCFullYear(year, month! - 1, day)
  return date.getUTCMonth() === month! - 1 && date.getUTCDate() === day
}

function addSchemaError(error: ErrorObject, root: unknown, report: Report): void {
  const path = pathOf(error.instancePath, root)
  if (error.keyword === 'required') {
    const name = String(error.params['missingProperty'])
    // A misspelt name has been reported already, with this one as the suggestion.
    if (report.problems.some((problem) => problem.suggestion === name && isChildOf(problem.path, path)))
      return
    report.add({
      reason: 'Invalid',
      path: [...path, name],
      message: 'is required',
      expected: 'a value',
      found: 'nothing',
    })
    return
  }
  const schema = error.parentSchema as Schema
  if (error.keyword === 'type') {
    report.add(wrongType(error.data, schema, path, report))
    return
  }
  if (error.keyword === 'enum') {
    report.add(wrongChoice(error.data, schema, path))
    return
  }
  const expected = words(error.keyword, schema)
  report.add(invalid(path, `must ${expected}`, expected, error.data))
}

const isChildOf = (path: Path, parent: Path): boolean =>
  path.length === parent.length + 1 && parent.every((part, index) => path[index] === part)

/** A JSON pointer as a path, with numbers for the entries of lists. */
function pathOf(pointer: string, root: unknown): Path {
  const path: (string | number)[] = []
  let at: unknown = root
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    path.push(Array.isArray(at) ? Number(key) : key)
    at = (at as Record<string, unknown> | undefined)?.[key]
  }
  return path
}

const typeWords: Record<NonNullable<Schema['type']>, string> = {
  object: 'a map',
  array: 'a list',
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
}

function wrongType(value: unknown, { type = 'object' }: Schema, path: Path, options: AcceptOptions): Problem {
  const expected = typeWords[type]
  if (type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) {
    const source = options.sourceText?.(path) ?? String(value)
    return {
      reason: 'Invalid',
      path,
      message: `must be a string, quote it: "${source}"`,
      expected,
      found: source,
    }
  }
  const isQuoted =
    type !== 'object' && type !== 'array' && typeof value === 'string' && /^(-?\d+|true|false)$/.test(value)
  const problem = invalid(path, `must be ${expected}`, expected, value)
  return isQuoted ? { ...problem, message: `${problem.message}; remove the quotes` } : problem
}

function wrongChoice(value: unknown, schema: Schema, path: Path): Problem {
  const choices = (schema.enum ?? []).map(String)
  const suggestion = typeof value === 'string' ? nearest(value, choices) : undefined
  const expected = choices.length === 1 ? choices[0]! : `one of ${choices.join(', ')}`
  const problem = invalid(path, `must be ${expected}`, expected, value)
  if (suggestion === undefined) return problem
  return { ...problem, message: `${problem.message}${didYouMean(suggestion)}`, suggestion }
}

/** Patterns of the schemas in words. */
export const patternWords: Readonly<Record<string, string>> = {
  '^([0-9]+(ms|s|m|h|d))+$': 'be a duration such as 90s, 15m or 1h30m',
  '^[0-9a-f]{64}$': 'be 64 lower-case hexadecimal digits',
  '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$': 'be the name of an object: lower-case letters, digits, "-" and "."',
  '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$': 'be lower-case letters, digits and "-"',
  '^(ssh-[a-z0-9-]+|ecdsa-sha2-nistp[0-9]+) [A-Za-z0-9+/=]+( [^\\r\\n]*)?$':
    'be an OpenSSH public-key line such as "ssh-ed25519 AAAA..."',
  '^[A-Za-z0-9]([A-Za-z0-9._:%-]*[A-Za-z0-9])?$|^::1$|^::$':
    'be a host name or an IP address, without a port',
  '^[0-9-]+T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$':
    'be a time such as 2026-11-23T18:00:00Z',
  [labelKeyPattern]: 'be a label key, such as site or example.com/site',
  '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$':
    'be letters, digits, "-", "_" and ".", beginning and ending with a letter or digit',
  '^https?://': 'begin with https:// or http://',
}

/** What a keyword of the schema asks for, to follow "must". */
function words(keyword: string, schema: Schema): string {
  const { minimum, maximum } = schema
  switch (keyword) {
    case 'minimum':
    case 'maximum':
      return minimum !== undefined && maximum !== undefined
        ? `be from ${minimum} to ${maximum}`
        : `be at ${minimum === undefined ? `most ${maximum}` : `least ${minimum}`}`
    case 'minLength':
      return `have at least ${schema.minLength} character${schema.minLength === 1 ? '' : 's'}`
    case 'maxLength':
      return `have at most ${schema.maxLength} characters`
    case 'minItems':
      return `have at least ${schema.minItems} entr${schema.minItems === 1 ? 'y' : 'ies'}`
    case 'maxItems':
      return `have at most ${schema.maxItems} entries`
    case 'maxProperties':
      return `have at most ${schema.maxProperties} entries`
    // A format has the pattern beside it.
    case 'format':
    case 'pattern':
      return patternWords[schema.pattern!] ?? `match ${schema.pattern}`
    default:
      return `satisfy ${keyword}`
  }
}
