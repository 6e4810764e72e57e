import { shown, widthOf } from './render-text.ts'
import type { Table, TableRow } from './api-objects.ts'

export interface TableStyle {
  /** Columns of lower priority, too. */
  wide: boolean
  /** A column with the namespace in front. */
  namespaces: boolean
  /** A column with the labels at the end. */
  labels: boolean
  headers: boolean
  /** Written before each name, when tables of several kinds follow each other. */
  prefix: string
}

/** Prints tables of one kind as kubectl does; rows that come later keep the widths of those before them. */
export interface TablePrinter {
  /** Text of these rows, with the headers before the first ones. O(cells). */
  rows(columns: Table['columnDefinitions'], rows: readonly TableRow[]): string
}

const gap = '   '

export function createTablePrinter(style: TableStyle): TablePrinter {
  let widths: number[] = []
  let isFirst = true

  const widen = (cells: readonly string[]): void => {
    for (const [at, cell] of cells.entries()) widths[at] = Math.max(widths[at] ?? 0, widthOf(cell))
  }
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, at) =>
      at === cells.length - 1 ? cell : cell + ' '.repeat(widths[at]! - widthOf(cell)),
    )
    return `${padded.join(gap).trimEnd()}\n`
  }

  return {
    rows(columns, rows) {
      const kept = columns.flatMap(({ priority = 0 }, at) => (priority === 0 || style.wide ? [at] : []))
      const lines = rows.map((row) => cellsOf(row, kept, style))
      if (isFirst && style.headers) {
        lines.unshift([
          ...(style.namespaces ? ['NAMESPACE'] : []),
          ...kept.map((at) => shown(columns[at]!.name).toUpperCase()),
          ...(style.labels ? ['LABELS'] : []),
        ])
      }
      isFirst = false
      for (const cells of lines) widen(cells)
      return lines.map(line).join('')
    },
  }
}

function cellsOf(row: TableRow, kept: readonly number[], style: TableStyle): string[] {
  const { metadata } = row.object
  const cells = kept.map((at) => cellText(row.cells[at]))
  if (style.prefix !== '' && cells.length > 0) cells[0] = style.prefix + cells[0]!
  if (style.labels) {
    const labels = Object.entries(metadata.labels ?? {}).map(([key, value]) => shown(`${key}=${value}`))
    cells.push(labels.length > 0 ? labels.join(',') : '<none>')
  }
  if (style.namespaces) cells.unshift(shown(metadata.namespace ?? ''))
  return cells
}

/** The first line of a cell, and "..." for the others. */
function cellText(value: unknown): string {
  // As kubectl prints what a server leaves out.
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const end = text.search(/[\r\n\f]/)
  return end === -1 ? shown(text) : `${shown(text.slice(0, end))}...`
}
