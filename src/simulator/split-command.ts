/** Takes a line of POSIX shell that only quotes apart again: words, single and double quotes, backslashes. */
export const splitCommand = (line: string): string[] => {
  const words: string[] = []
  const pattern = /\s+|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])|([^\s'"\\]+)/g
  let word: string | undefined
  for (const [whole, single, double, escaped, plain] of line.matchAll(pattern)) {
    const part = single ?? double?.replaceAll(/\\([\\"$`])/g, '$1') ?? escaped ?? plain
    if (part !== undefined) word = (word ?? '') + part
    else if (whole !== '' && word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  return word === undefined ? words : [...words, word]
}
