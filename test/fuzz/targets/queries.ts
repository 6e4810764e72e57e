import { deepEqual, match, ok } from 'node:assert/strict'
import { objectSchema } from '../../../src/api/crd.ts'
import { kindInfo } from '../../../src/api/kinds.ts'
import { hasCode } from '../../../src/core/errors.ts'
import { compilePath, compileTemplate } from '../../../src/core/json-path.ts'
import { readRange } from '../../../src/server/byte-range.ts'
import type { ApiObject, ResourceInfo } from '../../../src/server/collection.ts'
import { continuationText, readOptions, type ListOptions } from '../../../src/server/read-options.ts'
import { parseFieldSelector, parseLabelSelector } from '../../../src/server/selectors.ts'
import { wayOf, type FuzzTarget } from '../fuzzer.ts'

const device = kindInfo('Device')
const info: ResourceInfo = {
  ...device,
  group: 'reflash.dev',
  version: 'v1alpha1',
  categories: [],
  namespaced: true,
  schema: objectSchema(device),
}
const objects: readonly ApiObject[] = [undefined, { site: 'lobby', floor: '3', empty: '' }].map((labels) => ({
  apiVersion: 'reflash.dev/v1alpha1',
  kind: 'Device',
  metadata: { name: 'ap', namespace: 'default', resourceVersion: '1', ...(labels && { labels }) },
  spec: { port: 22, addresses: ['192.0.2.1', '192.0.2.2'], legacyAlgorithms: false },
  status: { board: 'x', conditions: [{ type: 'Ready', status: 'True' }] },
}))

/** What comes of it: fine, or refused in a sentence that may be shown; anything else is a bug. */
function wayThrough(name: string, work: () => string): string {
  try {
    return `${name} ${work()}`
  } catch (error) {
    if (!hasCode(error, 'Invalid', 'TooLarge')) throw error
    match(error.message, /^[\x20-\x7e]{1,4000}$/)
    return `${name} ${wayOf(error.message).split(' ', 6).join(' ')}`
  }
}

const selector = (
  text: string,
  parse: (text: string) => ((object: ApiObject) => boolean) | undefined,
): string => {
  const matches = parse(text)
  const found = objects.map((object) => matches?.(object) ?? true)
  // A selector says the same of an object whenever it is asked.
  deepEqual(
    objects.map((object) => matches?.(object) ?? true),
    found,
  )
  return found.join(' ')
}

function options(text: string): string {
  const read = readOptions(new URLSearchParams(text), { maxPage: 500, maxWatchMs: 600_000 })
  if (!('type' in read)) {
    ok(read.code < 500)
    return wayOf(read.message)
  }
  if (read.type === 'watch') {
    ok(read.timeoutMs <= 600_000)
    return `watch ${read.sendsInitial} ${read.marksInitialEnd} ${read.bookmarks}`
  }
  const { continuation, limit = 0 } = read
  ok(limit <= 500)
  if (continuation) {
    const again = new URLSearchParams({ continue: continuationText(continuation) })
    const { continuation: same } = readOptions(again, { maxPage: 500, maxWatchMs: 1 }) as ListOptions
    deepEqual(same, continuation)
  }
  return `list ${continuation !== undefined} ${read.isExact}`
}

function range(text: string): string {
  const found = readRange(text, 1000)
  if (typeof found === 'string') return found
  ok(found.first >= 0)
  ok(found.last >= found.first)
  ok(found.last < 1000)
  return 'part'
}

/** The first letter says which of them is asked; the rest is what a client has sent. */
const parsers: Readonly<Record<string, (text: string) => string>> = {
  l: (text) => wayThrough('labels', () => selector(text, parseLabelSelector)),
  f: (text) => wayThrough('fields', () => selector(text, (each) => parseFieldSelector(each, info))),
  o: (text) => wayThrough('options', () => options(text)),
  r: (text) => wayThrough('range', () => range(text)),
  p: (text) => wayThrough('path', () => String(Math.min(3, compilePath(text)(objects[1]).length))),
  t: (text) => wayThrough('template', () => String(compileTemplate(text)(objects[1]).length > 0)),
}

/** What stands behind the question mark of a request, and in some of its headers; and what `-o jsonpath=` is given. */
export const queriesTarget: FuzzTarget = {
  name: 'queries',
  seeds: [
    'lsite=lobby,floor in (3,4),!gone,floor>2',
    'lfloor notin (a),a!=b,example.com/a',
    'fmetadata.name=ap,spec.port!=23',
    'fstatus.board=a\\,b\\=c',
    'olimit=2&continue=MS9kZWZhdWx0L2FwLTE',
    'owatch=true&resourceVersion=0&timeoutSeconds=3&allowWatchBookmarks=true',
    'owatch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
    'oresourceVersion=3&resourceVersionMatch=Exact',
    'rbytes=0-99',
    'rbytes=-5',
    'p.status.conditions[?(@.type=="Ready")].status',
    'p..addresses[0:2,-1]',
    "p['spec']['port']",
    't{range .spec.addresses[*]}{@}{"\\n"}{end}',
  ].map((text) => Buffer.from(text)),
  words: [
    ...Object.keys(parsers),

    '=',
    '==',
    '!=',
    ' in (',
    ' notin (',
    ')',
    ',',
    '!',
    '>',
    '<',
    '\\',
    '\\\\',
    '/',
    '&',
    '%00',
    '%ff',
    '+',

    'limit=',
    'continue=',
    'watch=',
    'resourceVersion=',
    'timeoutSeconds=',
    '-',
    'bytes=',

    '[',
    ']',
    '[*]',
    '..',
    '.',
    '@',
    '$',
    '?(',
    '{',
    '}',
    '{range ',
    '{end}',
    '"',
    "'",
    ':',
    '-1',
    '99999999999',

    '__proto__',
    'constructor',
    'metadata.name',
    'spec.port',
    '..'.repeat(40),
    '['.repeat(40),
    'a,'.repeat(300),
  ],
  maxBytes: 4096,
  run: (input) => {
    const text = input.toString('utf8')
    return parsers[text[0] ?? '']?.(text.slice(1)) ?? 'nobody'
  },
}
