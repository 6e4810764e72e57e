/** Text of at most `maxLength` UTF-16 units, never ending in half a character. */
export const cut = (text: string, maxLength: number): string =>
  text.length <= maxLength ? text : text.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '')

/** The beginning of a text that takes at most `maxBytes` in UTF-8, never ending in half a character. */
export const cutToBytes = (text: string, maxBytes: number): string =>
  text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(maxBytes)).read)
