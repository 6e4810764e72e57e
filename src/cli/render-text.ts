/** Controls, invisible and bidirectional marks, and code points that mean nothing: none may reach a terminal. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu

const escape = (character: string): string => {
  const code = character.codePointAt(0)!
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`
}

/** A server's text in one line that a terminal shows as it is: letters of every language stay, controls are written out. */
export const shown = (text: string): string => text.replaceAll(unprintable, escape)

/** How many columns the text takes, near enough: one for each code point. */
export function widthOf(text: string): number {
  let width = 0
  for (const _ of text) width += 1
  return width
}
