/** Small pieces of Markdown. */

export const code = (text: string): string => `\`${text}\``

/** A table; a bar within a cell would end it. */
export const table = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
