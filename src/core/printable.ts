const escape = (character: string): string => {
  const code = character.charCodeAt(0)
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}

/**
 * Text of a device made safe for logs and terminals: printable ASCII of at most `maxLength` characters. Anything else is
 * written as \xNN or \uNNNN, and what is cut off as "...".
 */
export const printable = (text: string, maxLength: number): string => {
  const start = text.slice(0, maxLength + 1)
  // Nearly every text is printable as it is.
  const escaped = /^[\x20-\x7e]*$/.test(start) ? start : start.replaceAll(/[^\x20-\x7e]/g, escape)
  if (escaped.length <= maxLength) return escaped
  return `${escaped.slice(0, Math.max(0, maxLength - 3))}...`.slice(0, maxLength)
}

/** The first `maxLength` characters of somebody's words in double quotes, as JSON writes them, in printable ASCII. */
export const quoted = (text: string, maxLength: number): string =>
  JSON.stringify(text.slice(0, maxLength)).replaceAll(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
