import { nearest } from './nearest.ts'
import type { Path, Problem } from './problem.ts'
import type { Manifest } from './resources.ts'

const maxNameLength = 253
const maxLabelLength = 63
/** As an API server counts: keys and values together. */
const maxAnnotationBytes = 256 * 1024

const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const labelWord = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/

export const isSubdomain = (name: string): boolean =>
  name.length <= maxNameLength && name.split('.').every((part) => dnsLabel.test(part))

const isLabelValue = (value: string): boolean =>
  value === '' || (value.length <= maxLabelLength && labelWord.test(value))

function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/')
  const name = key.slice(slash + 1)
  if (slash !== -1 && !isSubdomain(key.slice(0, slash))) return false
  return name.length <= maxLabelLength && labelWord.test(name)
}

const nameWords = `must be lower-case letters, digits, "-" and ".", at most ${maxNameLength}, beginning and ending with a letter or digit`
const namespaceWords = `must be lower-case letters, digits and "-", at most ${maxLabelLength}, beginning and ending with a letter or digit`
const keyWords = 'must be a label key, such as site or example.com/site'
const valueWords = `must be at most ${maxLabelLength} letters, digits, "-", "_" and ".", beginning and ending with a letter or digit`

export interface MetadataReport {
  add: (problem: Problem) => void
  /** A problem of a value that should be text. */
  notText: (value: unknown, path: Path) => Problem
  /** In a file every field counts; an API server writes more of them than we need. */
  unknownFields: 'refuse' | 'drop'
}

/** Reads `metadata`; a namespace left out is `default`. What is wrong goes to the report. */
export function readMetadata(value: unknown, report: MetadataReport): Manifest['metadata'] {
  const fields = isRecord(value) ? value : {}
  if (!isRecord(value)) report.add(invalid(['metadata'], 'must be a map with a name', 'a map', value))
  const known = [
    'name',
    'namespace',
    'labels',
    'annotations',
    ...(report.unknownFields === 'drop' ? ['finalizers'] : []),
  ]
  if (report.unknownFields === 'refuse') refuseUnknown(fields, known, report)
  const name = readName(fields['name'], isRecord(value), report)
  const namespace = readNamespace(fields['namespace'], report)
  const labels = readMap('labels', fields['labels'], report)
  const annotations = readMap('annotations', fields['annotations'], report)
  const finalizers = fields['finalizers']
  return {
    name,
    namespace,
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
    ...(report.unknownFields === 'drop' && Array.isArray(finalizers)
      ? { finalizers: finalizers.map(String) }
      : {}),
  }
}

function refuseUnknown(
  fields: Record<string, unknown>,
  known: readonly string[],
  report: MetadataReport,
): void {
  for (const key of Object.keys(fields)) {
    if (!known.includes(key)) report.add(unknownField(['metadata', key], known))
  }
}

function readName(value: unknown, isExpected: boolean, report: MetadataReport): string {
  const path = ['metadata', 'name']
  if (value === undefined || value === null) {
    if (isExpected)
      report.add({ reason: 'Invalid', path, message: 'is required', expected: 'a name', found: 'nothing' })
    return ''
  }
  if (typeof value !== 'string') {
    report.add(report.notText(value, path))
    return ''
  }
  if (!isSubdomain(value)) report.add(badName(path, nameWords, value))
  return value
}

function readNamespace(value: unknown, report: MetadataReport): string {
  const path = ['metadata', 'namespace']
  if (value === undefined) return 'default'
  if (typeof value !== 'string') {
    report.add(report.notText(value, path))
    return 'default'
  }
  if (value.length > maxLabelLength || !dnsLabel.test(value)) report.add(badName(path, namespaceWords, value))
  return value
}

function readMap(
  field: 'labels' | 'annotations',
  value: unknown,
  report: MetadataReport,
): Record<string, string> | undefined {
  if (value === undefined) return undefined
  if (!isRecord(value)) {
    report.add(invalid(['metadata', field], 'must be a map of strings', 'a map of strings', value))
    return undefined
  }
  const entries: [string, string][] = []
  let bytes = 0
  for (const [key, text] of Object.entries(value)) {
    const path = ['metadata', field, key]
    // An API server takes capitals before the slash, but not for a label.
    if (!isLabelKey(field === 'annotations' ? key.toLowerCase() : key))
      report.add(badName(path, keyWords, key))
    else if (typeof text !== 'string') report.add(report.notText(text, path))
    else if (field === 'labels' && !isLabelValue(text)) report.add(badName(path, valueWords, text))
    else entries.push([key, text])
    bytes += Buffer.byteLength(key) + (typeof text === 'string' ? Buffer.byteLength(text) : 0)
  }
  if (field === 'annotations' && bytes > maxAnnotationBytes) {
    const message = `must be at most ${maxAnnotationBytes} bytes together, found ${bytes}`
    report.add({
      reason: 'TooLarge',
      path: ['metadata', field],
      message,
      expected: 'less',
      found: `${bytes} bytes`,
    })
  }
  return Object.fromEntries(entries)
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function unknownField(path: Path, known: readonly string[]): Problem {
  const key = String(path.at(-1))
  const suggestion = nearest(key, known)
  const message = `is not a known field${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`
  const expected = `one of ${known.join(', ')}`
  return {
    reason: 'UnknownField',
    path,
    message,
    expected,
    found: key,
    ...(suggestion === undefined ? {} : { suggestion }),
  }
}

/** A value in words, short enough for a sentence. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (isRecord(value)) return 'a map'
  // JSON knows no NaN and no infinity, which YAML can write.
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

export const invalid = (path: Path, message: string, expected: string, found: unknown): Problem => ({
  reason: 'Invalid',
  path,
  message: `${message}, found ${describe(found)}`,
  expected,
  found: describe(found),
})

const badName = (path: Path, words: string, found: string): Problem => ({
  reason: 'BadName',
  path,
  message: `${words}, found ${describe(found)}`,
  expected: words.replace(/^must be /, ''),
  found: describe(found),
})
