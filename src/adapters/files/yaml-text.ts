import {
  Composer,
  type Document,
  type ErrorCode,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml'
import { formatPath, type Path, type ProblemReason } from '../../api/problem.ts'
import { boundedTokens, limitWords } from './bounded-tokens.ts'
import { type Finding, finding, type Place } from './diagnostic.ts'
import { isOtherInYaml11 } from './other-in-yaml-11.ts'

/** One document of a YAML text, with the way back from values to places. */
export interface YamlDocument {
  /** The top of the document; undefined when that is no map. */
  top: YAMLMap | undefined
  /** The text of a document that is nothing but one. */
  text: string | undefined
  isEmpty: boolean
  /** A copy in plain values; what YAML can say and manifests must not is added to `problems`, with paths as `show` writes them. */
  read(problems: Finding[], show?: (path: Path) => string): unknown
  /** Where the value of a path is, or where it would have to be. */
  placeOf(path: Path, part?: 'key' | 'value'): Place
  /** The last line of the value of a path, where it takes more than one. */
  endLineOf: (path: Path) => number | undefined
  /** A scalar as it was written. */
  sourceText: (path: Path) => string | undefined
}

/**
 * Reads a text of YAML documents one by one, so that memory is needed for one only. What comes back says why the text is
 * broken: then forget every document of it, since an open quote swallows what follows.
 */
export function readYaml(text: string, onDocument: (document: YamlDocument) => void): Finding[] {
  const lines = new LineCounter()
  lines.addNewLine(0)
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problems: Finding[] = []
  const composer = new Composer({ version: '1.2', uniqueKeys: false, logLevel: 'silent' })
  const take = (documents: Iterable<Document.Parsed>): void => {
    for (const document of documents) {
      const { errors } = document
      problems.push(
        ...errors.map(({ code, pos }) => finding('SyntaxError', syntaxWords[code], place(pos[0]))),
      )
      if (problems.length === 0) onDocument(yamlDocument(document, place))
    }
  }
  for (const token of boundedTokens(text, lines.addNewLine)) {
    if ('limit' in token) return [finding(token.limit, limitWords[token.limit], place(token.offset))]
    take(composer.next(token))
    if (problems.length > 0) return problems
  }
  take(composer.end(false, text.length))
  return problems
}

function yamlDocument(document: Document.Parsed | Document, place: (offset: number) => Place): YamlDocument {
  const contents = document.contents as Node | null
  const find = (path: Path): Found => findNode(contents, path)
  return {
    top: isMap(contents) ? contents : undefined,
    text: scalarText(contents ?? undefined),
    isEmpty: contents === null || (isScalar(contents) && contents.value === null),
    read: (problems, show = formatPath) => toValue(contents, [], { problems, place, show }),
    placeOf: (path, part = 'value') => {
      const { key, node } = find(path)
      // An empty value stands nowhere, and a map begins at its first key: their own key says more.
      const useKey = key !== undefined && (part === 'key' || !isScalar(node) || node.value === null)
      return place((useKey ? key : node)?.range?.[0] ?? contents?.range?.[0] ?? 0)
    },
    endLineOf: (path) => {
      const [start, end] = find(path).node?.range ?? []
      if (start === undefined || end === undefined) return undefined
      const last = place(end)
      // A block ends where the next line begins.
      const endLine = last.column === 1 ? last.line - 1 : last.line
      return endLine > place(start).line ? endLine : undefined
    },
    sourceText: (path) => {
      const { node } = find(path)
      return isScalar(node) ? node.source : undefined
    },
  }
}

interface Found {
  key?: Node | undefined
  node: Node | undefined
}

/** The node of a path, or the last one on the way to it. */
function findNode(top: Node | null, path: Path): Found {
  let found: Found = { node: top ?? undefined }
  for (const part of path) {
    const { node } = found
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => keyText(key) === part)
      if (!pair) return found
      found = { key: pair.key as Node, node: (pair.value as Node | null) ?? undefined }
    } else if (isSeq(node) && typeof part === 'number' && node.items[part]) {
      found = { node: node.items[part] as Node }
    } else {
      return found
    }
  }
  return found
}

/** A key as text, if it is a plain one; a number or a null is not. */
const keyText = (key: unknown): string | undefined =>
  isScalar(key) && typeof key.value === 'string' ? key.value : undefined

/** The node of a key that is there exactly once. */
export function onlyValue(map: YAMLMap | undefined, name: string): Node | undefined {
  const pairs = map?.items.filter(({ key }) => keyText(key) === name) ?? []
  return pairs.length === 1 ? ((pairs[0]!.value as Node | null) ?? undefined) : undefined
}

/** Whether a map has a key, be it once or more often. */
export const hasKey = (map: YAMLMap, name: string): boolean =>
  map.items.some(({ key }) => keyText(key) === name)

export const mapNode = (node: Node | undefined): YAMLMap | undefined => (isMap(node) ? node : undefined)

export const scalarText = (node: Node | undefined): string | undefined =>
  isScalar(node) && typeof node.value === 'string' ? node.value : undefined

interface Reading {
  problems: Finding[]
  show: (path: Path) => string
  place: (offset: number) => Place
}

const plainTag = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/

const isOtherToKubectl = (node: Node): boolean =>
  isScalar(node) &&
  node.type === 'PLAIN' &&
  node.tag === undefined &&
  typeof node.value === 'string' &&
  isOtherInYaml11(node.value)

const otherToKubectl = 'is true, false or a number to kubectl; quote it'

function toValue(node: Node | null, path: Path, reading: Reading): unknown {
  if (node === null) return null
  // What an alias or a tag is called is left out: in a Secret it could be an unquoted password.
  if (isAlias(node)) {
    report(reading, node, path, 'must not be an alias (*); write the value out, or quote it')
    return undefined
  }
  if (node.anchor !== undefined)
    report(reading, node, path, 'must not have an anchor (&); remove it, or quote the value')
  if (node.tag !== undefined && !plainTag.test(node.tag)) {
    report(reading, node, path, 'must not have a tag (!); remove it, or quote the value')
  }
  if (isOtherToKubectl(node)) report(reading, node, path, `${otherToKubectl}, or write true or false`)
  if (isMap(node)) return toRecord(node, path, reading)
  if (isSeq(node))
    return node.items.map((item, index) => toValue(item as Node | null, [...path, index], reading))
  return isScalar(node) ? node.value : undefined
}

function toRecord(map: YAMLMap, path: Path, reading: Reading): Record<string, unknown> {
  // Without a prototype `__proto__` is a key like others.
  const record = Object.create(null) as Record<string, unknown>
  for (const { key, value } of map.items as Pair<Node, Node | null>[]) {
    const name = keyText(key)
    if (name === undefined) {
      report(reading, key, path, `has a key that is no text${isCollection(key) ? '' : '; quote it'}`)
      continue
    }
    const at = [...path, name]
    if (isOtherToKubectl(key)) report(reading, key, at, otherToKubectl)
    if (name in record)
      report(reading, key, at, { reason: 'Duplicate', message: 'is there twice in one map' })
    else record[name] = toValue(value, at, reading)
  }
  return record
}

function report(
  { problems, place, show }: Reading,
  node: Node,
  path: Path,
  what: string | { reason: ProblemReason; message: string },
): void {
  const { reason, message } = typeof what === 'string' ? { reason: 'Invalid' as const, message: what } : what
  problems.push(finding(reason, message, { ...place(node.range?.[0] ?? 0), path: show(path) }))
}

/** Our own words, because the parser's quote the text, which may be a password. */
const syntaxWords: Record<ErrorCode, string> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'an alias needs a name',
  BAD_COLLECTION_TYPE: 'the tag does not fit the value',
  BAD_DIRECTIVE: 'a line that begins with % is no directive known here',
  BAD_DQ_ESCAPE: 'a backslash in double quotes begins no known escape',
  BAD_INDENT: 'the indentation does not fit the lines above; is a } or ] missing there?',
  BAD_PROP_ORDER: 'anchors and tags must come before the value',
  BAD_SCALAR_START: 'a value cannot begin with this character; quote it',
  BLOCK_AS_IMPLICIT_KEY:
    'a map cannot begin inside a value on the same line; quote the value, or move it to the next line',
  BLOCK_IN_FLOW: 'an indented block cannot stand inside {} or []',
  DUPLICATE_KEY: 'a key is there twice in one map',
  IMPOSSIBLE: 'this is no YAML',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'a character is missing here: a colon, a comma, a closing quote or a bracket',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line; is a colon or a bracket missing?',
  MULTIPLE_ANCHORS: 'a value can have one anchor only',
  MULTIPLE_DOCS: 'documents must be separated by ---',
  MULTIPLE_TAGS: 'a value can have one tag only',
  NON_STRING_KEY: 'a key must be text',
  RESOURCE_EXHAUSTION: 'this is nested too deep',
  TAB_AS_INDENT: 'a tab cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'the tag is not known',
  UNEXPECTED_TOKEN: 'this does not belong here',
}
