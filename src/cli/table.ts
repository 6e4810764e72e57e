/** Pads rows into columns as kubectl does: three spaces between, no line at the end of a row. O(cells). */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    rows.reduce((width, row) => Math.max(width, (row[column] ?? '').length), title.length),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === cells.length - 1 ? cell : cell + ' '.repeat(widths[column]! - cell.length),
      )
      .join('   ')
      .trimEnd()
  return [header, ...rows].map(line).join('\n')
}
