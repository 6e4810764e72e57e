/** Text from outside in one cell or line of Markdown: nothing in it is markup, a link or the end of the cell. */
export const markdownText = (text: string): string =>
  text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\\`*_{}[\]<>#!|~&$]/g, '\\$&')
    // A bare address would become a link.
    .replaceAll('://', '\\://')
    .replaceAll('www.', 'www\\.')

/** Rows of cells that are Markdown already. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}
