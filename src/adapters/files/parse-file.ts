import { isRecord, isSubdomain } from '../../api/metadata.ts'
import { isKind } from '../../api/kinds.ts'
import { formatPath, type Path, type Problem } from '../../api/problem.ts'
import type { Manifest } from '../../api/resources.ts'
import { group } from '../../api/schema.ts'
import { acceptManifest } from '../../api/validate.ts'
import { type Finding, finding, formatDiagnostic, inFile, type Place } from './diagnostic.ts'
import { formatSecretPath, readSecret, type SecretManifest } from './secret-manifest.ts'
import { hasKey, mapNode, onlyValue, readYaml, scalarText, type YamlDocument } from './yaml-text.ts'

/** Where the fields stand that only the whole directory can judge, by path. */
export type FieldPlaces = Readonly<Record<string, Place>>

/** An accepted document: an object of ours or a Secret. */
export type ParsedItem = Place & { id: string } & (
    | { manifest: Manifest; fields: FieldPlaces; secret?: never }
    | { secret: SecretManifest; manifest?: never }
  )

/** A document that is refused although it says which object it is. */
export interface SpoiledItem extends Place {
  id: string
  /** What is wrong, in one line. */
  because: string
}

/** A document with more than this is no manifest, and each problem costs a search for its place. */
const maxProblems = 50

/** What one text declares. Plain data, so that a worker can send it. */
export interface ParsedFile {
  items: ParsedItem[]
  spoiled: SpoiledItem[]
  problems: Finding[]
  /** Documents of others. */
  skipped: number
  /** Why something that this text declares may be missing from both lists. */
  incomplete?: string
}

export const idOf = (kind: string, { namespace, name }: { namespace: string; name: string }): string =>
  `${kind}/${namespace}/${name}`

/** Reads the documents of one YAML or JSON text. Never throws for what the text says. */
export function parseFile(text: string): ParsedFile {
  // Who means that nothing is declared any more removes the file; a full disk leaves an empty one behind.
  if (text === '') return brokenFile([finding('SyntaxError', 'is empty; remove it, or restore what it held')])
  const parsed: ParsedFile = { items: [], spoiled: [], problems: [], skipped: 0 }
  const problems = readYaml(text, (document) => readDocument(document, parsed))
  return problems.length > 0 ? brokenFile(problems) : parsed
}

/** A file of which nothing is taken. */
export const brokenFile = (problems: Finding[]): ParsedFile => ({
  items: [],
  spoiled: [],
  problems,
  skipped: 0,
  incomplete: because(problems),
})

/** The first of some problems in one line, without the file. */
const because = (problems: readonly Finding[]): string => {
  const [first] = problems
  return first === undefined ? 'unknown' : formatDiagnostic(inFile('', first)).replace(/^:/, 'line ')
}

function readDocument(document: YamlDocument, parsed: ParsedFile): void {
  if (document.isEmpty) return
  const apiVersion = scalarText(onlyValue(document.top, 'apiVersion'))
  const kind = scalarText(onlyValue(document.top, 'kind'))
  if (apiVersion === group || apiVersion?.startsWith(`${group}/`)) readManifest(document, parsed)
  else if (apiVersion === 'v1' && kind === 'Secret' && !isEncrypted(document))
    readSecretDocument(document, parsed)
  else if (isCutShort(document))
    spoil(document, [finding('SyntaxError', 'is cut short', startOf(document))], parsed)
  else parsed.skipped += 1
}

/** The first few bytes of a manifest of ours are no document of somebody else's. */
function isCutShort({ top, text }: YamlDocument): boolean {
  if (!top) return text !== undefined && 'apiVersion'.startsWith(text)
  const version = top.items.length === 1 && hasKey(top, 'apiVersion') && onlyValue(top, 'apiVersion')
  return version !== false && `${group}/`.startsWith(scalarText(version) ?? '')
}

/** SOPS leaves its own block beside the encrypted values: somebody decrypts this Secret elsewhere. */
const isEncrypted = (document: YamlDocument): boolean => onlyValue(document.top, 'sops') !== undefined

function readManifest(document: YamlDocument, parsed: ParsedFile): void {
  const problems: Finding[] = []
  const value = document.read(problems)
  const accepted = acceptManifest(value, { mode: 'file', sourceText: document.sourceText })
  if (!accepted.ok) addProblems(problems, accepted.problems, document, formatPath)
  if (accepted.ok && problems.length === 0) {
    const { manifest } = accepted
    const id = idOf(manifest.kind, manifest.metadata)
    parsed.items.push({ ...startOf(document), id, manifest, fields: fieldPlaces(manifest.spec, document) })
  } else {
    spoil(document, problems, parsed)
  }
}

function readSecretDocument(document: YamlDocument, parsed: ParsedFile): void {
  const problems: Finding[] = []
  const value = document.read(problems, formatSecretPath)
  const reading = isRecord(value) ? readSecret(value) : undefined
  if (reading?.ok === false) addProblems(problems, reading.problems, document, formatSecretPath)
  if (reading?.ok && problems.length === 0) {
    const { secret } = reading
    parsed.items.push({ ...startOf(document), id: idOf('Secret', secret), secret })
  } else {
    spoil(document, problems, parsed)
  }
}

function addProblems(
  findings: Finding[],
  problems: readonly Problem[],
  document: YamlDocument,
  show: (path: Path) => string,
): void {
  for (const { reason, path, message, ...explanation } of problems.slice(0, maxProblems)) {
    const isOfKey = reason === 'UnknownField'
    const place = document.placeOf(path, isOfKey ? 'key' : 'value')
    // An alias, a tag or a key that is there twice has been reported at this very place.
    if (findings.some(({ line, column }) => line === place.line && column === place.column)) continue
    const endLine = isOfKey ? undefined : document.endLineOf(path)
    findings.push(finding(reason, message, { ...explanation, ...place, endLine, path: show(path) }))
  }
  const more = problems.length - maxProblems
  if (more > 0)
    findings.push(finding('Invalid', `and ${more} more problems of this document`, document.placeOf([])))
}

/** Paths of what is judged by more than the document; a reference stands where its name does. */
function fieldPlaces(spec: object, document: YamlDocument, path: Path = ['spec']): FieldPlaces {
  const places: Record<string, Place> = {}
  for (const [field, value] of Object.entries(spec) as [string, unknown][]) {
    const here = [...path, field]
    if (field.endsWith('Ref')) places[formatPath(here)] = document.placeOf([...here, 'name'])
    else if (judged.has(field)) places[formatPath(here)] = document.placeOf(here)
    else if (followed.has(field) && isRecord(value)) Object.assign(places, fieldPlaces(value, document, here))
  }
  return places
}

const judged = new Set(['path', 'url', 'sha256', 'addresses', 'selector', 'priority'])
const followed = new Set(['source', 'target', 'jumpHost'])

const startOf = (document: YamlDocument): Place => document.placeOf([])

function spoil(document: YamlDocument, problems: Finding[], parsed: ParsedFile): void {
  parsed.problems.push(...problems)
  const id = readableId(document)
  if (id === undefined) parsed.incomplete ??= because(problems)
  else parsed.spoiled.push({ ...startOf(document), id, because: because(problems) })
}

/** Which object a refused document is, provided that it says so without doubt. */
function readableId({ top }: YamlDocument): string | undefined {
  const kind = scalarText(onlyValue(top, 'kind'))
  const metadata = mapNode(onlyValue(top, 'metadata'))
  if (kind === undefined || !(isKind(kind) || kind === 'Secret') || !metadata) return undefined
  const name = scalarText(onlyValue(metadata, 'name'))
  const namespace = hasKey(metadata, 'namespace') ? scalarText(onlyValue(metadata, 'namespace')) : 'default'
  if (name === undefined || namespace === undefined || !isSubdomain(name) || !isSubdomain(namespace))
    return undefined
  return idOf(kind, { namespace, name })
}
