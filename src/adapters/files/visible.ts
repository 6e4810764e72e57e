/**
 * Text of a file or file name made safe for terminals and logs: what is invisible or steers a terminal (control and
 * format characters, so also text direction) is written as \xNN or \u{NNNN}; letters of every language stay.
 */
export const visible = (text: string): string =>
  text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)!
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
