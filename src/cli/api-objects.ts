import { CliError, exitCodes } from './context.ts'

/** An object as the API writes it, as far as commands rely on it. */
export interface ReadObject {
  apiVersion?: string
  kind?: string
  metadata: ObjectMetadata
  spec?: Record<string, unknown>
  status?: Record<string, unknown>
  [field: string]: unknown
}

interface ObjectMetadata {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
}

export interface Table {
  columnDefinitions: { name: string; priority?: number }[]
  rows: TableRow[]
}

export interface TableRow {
  cells: unknown[]
  object: ReadObject
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const unreadable = (what: string): CliError =>
  new CliError(`the server answered ${what} that cannot be read; is it a Reflash?`, exitCodes.usage)

/** @throws CliError for what is no object of an API. */
export function asObject(value: unknown): ReadObject {
  if (isRecord(value) && isRecord(value['metadata']) && typeof value['metadata']['name'] === 'string') {
    return value as unknown as ReadObject
  }
  throw unreadable('an object')
}

/** @throws CliError for what is no Table. */
export function asTable(value: unknown): Table {
  if (!isRecord(value) || value['kind'] !== 'Table') throw unreadable('a table')
  const { columnDefinitions, rows } = value
  if (rows !== null && rows !== undefined && !Array.isArray(rows)) throw unreadable('a table')
  return {
    columnDefinitions: Array.isArray(columnDefinitions) ? columnDefinitions.filter(isColumn) : [],
    rows: (rows ?? []).map((row: unknown) => {
      if (!isRecord(row) || !Array.isArray(row['cells'])) throw unreadable('a row')
      return { cells: row['cells'], object: asObject(row['object']) }
    }),
  }
}

const isColumn = (value: unknown): value is Table['columnDefinitions'][number] =>
  isRecord(value) && typeof value['name'] === 'string'

/** `metadata` of a list, a Table or a bookmark. */
export const listMetadata = (value: unknown): { resourceVersion?: string; continue?: string } =>
  isRecord(value) && isRecord(value['metadata']) ? value['metadata'] : {}

/** Items of a list. @throws CliError for what is no list. */
export function asItems(value: unknown): ReadObject[] {
  if (!isRecord(value) || !Array.isArray(value['items'])) throw unreadable('a list')
  return value['items'].map(asObject)
}

export const keyText = ({ metadata }: ReadObject): string => `${metadata.namespace ?? ''}/${metadata.name}`

/** Undefined for what is no JSON object. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}
