const words = new Set(
  ['y', 'yes', 'on', 'n', 'no', 'off'].flatMap((word) => [word, capital(word), word.toUpperCase()]),
)
const number = /^[-+]?(0b[01]+|0o[0-7]+|0x[0-9a-f]+|(\.[0-9]+|[0-9]+(\.[0-9]*)?)(e[-+]?[0-9]+)?)$/i

/**
 * Whether a plain scalar that is text in YAML 1.2 is true, false or a number to kubectl and API servers, which read YAML
 * 1.1 with go-yaml 2: https://github.com/yaml/go-yaml/blob/v2/resolve.go
 */
export const isOtherInYaml11 = (text: string): boolean =>
  words.has(text) || (/^[-+0-9]/.test(text) && number.test(text.replaceAll('_', '')))

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}
