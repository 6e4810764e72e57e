/** Metadata that our validation and an API server must judge alike. Of labels and annotations the server names no single one. */
import type { Row } from './manifest-table.ts'

const letters = (count: number): string => 'a'.repeat(count)
const labels = ['metadata.labels']
const annotations = ['metadata.annotations']

type MetadataRow = [what: string, fields: object, wrong: readonly string[], serverSays?: readonly string[]]

const table: readonly MetadataRow[] = [
  ['a name of 253 letters', { name: letters(253) }, []],
  ['a name of 254 letters', { name: letters(254) }, ['metadata.name']],
  ['a name with dots', { name: '192.0.2.1' }, []],
  ['a name with an empty part', { name: 'a..b' }, ['metadata.name']],
  ['a name in upper case', { name: 'AP-1' }, ['metadata.name']],
  ['a name that ends in a hyphen', { name: 'ap-' }, ['metadata.name']],
  ['an empty name', { name: '' }, ['metadata.name']],
  ['no name', { name: undefined }, ['metadata.name']],
  ['a number for a name', { name: 17 }, ['metadata.name'], []],
  [
    'labels and annotations',
    {
      labels: { site: 'lobby', 'example.net/floor': '' },
      annotations: { 'example.net/note': 'Any text.\n' },
    },
    [],
  ],
  ['a label value of 63 letters', { labels: { site: letters(63) } }, []],
  ['a label value of 64 letters', { labels: { site: letters(64) } }, ['metadata.labels.site'], labels],
  ['a label value with a space', { labels: { site: 'two words' } }, ['metadata.labels.site'], labels],
  ['a label value that ends in a dot', { labels: { site: 'a.' } }, ['metadata.labels.site'], labels],
  ['a label value that is true', { labels: { canary: true } }, ['metadata.labels.canary'], []],
  ['a label key with two slashes', { labels: { 'a/b/c': 'x' } }, ['metadata.labels["a/b/c"]'], labels],
  ['a label key with an empty prefix', { labels: { '/b': 'x' } }, ['metadata.labels["/b"]'], labels],
  [
    'a label key with a prefix in upper case',
    { labels: { 'Example.net/b': 'x' } },
    ['metadata.labels["Example.net/b"]'],
    labels,
  ],
  [
    'a label key of 64 letters',
    { labels: { [letters(64)]: 'x' } },
    [`metadata.labels.${letters(64)}`],
    labels,
  ],
  ['a label key of a name of JavaScript', { labels: { constructor: 'x', prototype: 'y' } }, []],
  [
    'a label key of a name of JavaScript that no key can be',
    { labels: JSON.parse('{"__proto__":"x"}') as object },
    ['metadata.labels.__proto__'],
    labels,
  ],
  ['an annotation key with a prefix in upper case', { annotations: { 'Example.net/Note': '' } }, []],
  [
    'an annotation key with a space',
    { annotations: { 'a note': '' } },
    ['metadata.annotations["a note"]'],
    annotations,
  ],
  ['annotations of 256 KiB', { annotations: { a: letters(256 * 1024 - 1) } }, []],
  ['annotations beyond 256 KiB', { annotations: { a: letters(256 * 1024) } }, annotations],
  ['labels as a list', { labels: ['site'] }, labels, []],
]

export const metadataRows: readonly Row[] = table.map(([what, fields, wrong, serverSays = wrong]) => ({
  what,
  kind: 'Category',
  metadata: { name: 'a', ...fields },
  spec: {},
  wrong,
  serverSays,
}))
