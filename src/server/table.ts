import type { Column } from '../api/schema.ts'
import { formatDuration } from '../core/duration.ts'
import { compilePath, printValue } from '../core/json-path.ts'
import { toMs } from '../core/time.ts'
import type { ApiObject, ResourceInfo } from './collection.ts'

export type TableVersion = 'v1' | 'v1beta1'
/** What a row carries of its object. */
export type Included = 'None' | 'Metadata' | 'Object'

export interface ColumnDefinition {
  name: string
  type: string
  format: string
  description: string
  /** Above 0: only shown by `-o wide`. */
  priority: number
}

export type Cell = string | number | boolean | null

/** How objects of a kind look as rows. Ages are texts as of `nowMs`. */
export interface TableLayout {
  columns: readonly ColumnDefinition[]
  cells(object: ApiObject, nowMs: number): Cell[]
}

interface LaidOutColumn {
  definition: ColumnDefinition
  cell: (object: ApiObject, nowMs: number) => Cell
}

const layoutOf = (columns: readonly LaidOutColumn[]): TableLayout => ({
  columns: columns.map(({ definition }) => definition),
  cells: (object, nowMs) => columns.map(({ cell }) => cell(object, nowMs)),
})

/** Name, the columns of the kind, and Age; events look as kubectl's users know them. */
export function tableLayout(info: ResourceInfo): TableLayout {
  if (info.group === '' && info.kind === 'Event') return layoutOf(eventColumns)
  return layoutOf([
    { ...column('Name', 'string', 'Unique within its namespace.'), cell: ({ metadata }) => metadata.name },
    ...info.columns.map(printerColumn),
    {
      ...column('Age', 'date', 'Time since the object was created.'),
      cell: ({ metadata }, nowMs) => ageOf(metadata.creationTimestamp, nowMs) ?? unknownAge,
    },
  ])
}

const column = (
  name: string,
  type: Column['type'],
  description: string,
  priority = 0,
): { definition: ColumnDefinition } => ({
  definition: { name, type, format: name === 'Name' ? 'name' : '', description, priority },
})

function printerColumn({ name, jsonPath, type, priority }: Column): LaidOutColumn {
  const find = compilePath(jsonPath)
  return {
    ...column(name, type, `What ${jsonPath} says.`, priority),
    cell: (object, nowMs) => cellOf(type, find(object)[0], nowMs),
  }
}

function cellOf(type: Column['type'], value: unknown, nowMs: number): Cell {
  if (value === undefined || value === null) return null
  switch (type) {
    case 'string':
      return printValue(value)
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      return ageOf(value, nowMs)
  }
}

const unknownAge = '<unknown>'

/** Null when it is no time. */
function ageOf(time: unknown, nowMs: number): string | null {
  const ms = typeof time === 'string' ? toMs(time) : Number.NaN
  return Number.isNaN(ms) ? null : formatDuration(nowMs - ms)
}

const textAt = (path: string): LaidOutColumn['cell'] => {
  const find = compilePath(path)
  return (object, nowMs) => cellOf('string', find(object)[0], nowMs)
}
const ageAt = (path: string): LaidOutColumn['cell'] => {
  const find = compilePath(path)
  return (object, nowMs) => cellOf('date', find(object)[0], nowMs) ?? unknownAge
}

const involvedKind = compilePath('.involvedObject.kind')
const involvedName = compilePath('.involvedObject.name')
const count = compilePath('.count')

const eventColumns: readonly LaidOutColumn[] = [
  { ...column('Last Seen', 'string', 'Time since it happened last.'), cell: ageAt('.lastTimestamp') },
  { ...column('Type', 'string', 'Normal or Warning.'), cell: textAt('.type') },
  { ...column('Reason', 'string', 'Why, in one word.'), cell: textAt('.reason') },
  {
    ...column('Object', 'string', 'The object that it is about.'),
    cell: (object) =>
      `${printValue(involvedKind(object)[0]).toLowerCase()}/${printValue(involvedName(object)[0])}`,
  },
  { ...column('Source', 'string', 'The program that says so.', 1), cell: textAt('.source.component') },
  { ...column('Message', 'string', 'What happened.'), cell: textAt('.message') },
  {
    ...column('First Seen', 'string', 'Time since it happened first.', 1),
    cell: ageAt('.firstTimestamp'),
  },
  {
    ...column('Count', 'integer', 'How often it happened.', 1),
    cell: (object, nowMs) => cellOf('integer', count(object)[0], nowMs),
  },
  { ...column('Name', 'string', 'Unique within its namespace.', 1), cell: ({ metadata }) => metadata.name },
]

/** One row, as JSON. `objectText` is the object as JSON, for rows that carry all of it. */
export function rowText(
  cells: readonly Cell[],
  object: ApiObject,
  { included, version, objectText }: { included: Included; version: TableVersion; objectText: () => string },
): string {
  return `{"cells":${JSON.stringify(cells)},"object":${rowObject()}}`

  function rowObject(): string {
    if (included === 'None') return 'null'
    if (included === 'Object') return objectText()
    const { metadata } = object
    return JSON.stringify({
      kind: 'PartialObjectMetadata',
      apiVersion: `meta.k8s.io/${version}`,
      metadata,
    })
  }
}

/** What stands before the rows of a table; `]}` ends it. */
export const tableStart = (
  version: TableVersion,
  metadata: object,
  columns: readonly ColumnDefinition[],
): string =>
  `{"kind":"Table","apiVersion":"meta.k8s.io/${version}","metadata":${JSON.stringify(metadata)},` +
  `"columnDefinitions":${JSON.stringify(columns)},"rows":[`
