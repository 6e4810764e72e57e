import { isRecord } from './api-objects.ts'

/** Without quotes no reader of YAML 1.1 or 1.2 takes these for anything but text: words, versions and durations. */
const plain = /^(?:[A-Za-z/][\w./+,;()-]*(?: [\w./+,;()-]+)*|\d+(?:\.\d+){2,}|(?:\d+(?:ms|s|m|h|d))+)$/
/** The last is a number of YAML 1.1 to some readers. */
const meaning = /^(true|false|yes|no|on|off|y|n|null|e[-+]?\d+)$/i
/** What JSON leaves as it is and YAML, or a terminal, does not take. */
const unprintable = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu

const escape = (character: string): string => {
  const digits = character.codePointAt(0)!.toString(16)
  return digits.length <= 4 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`
}

const textOf = (text: string): string =>
  plain.test(text) && !meaning.test(text) ? text : JSON.stringify(text).replaceAll(unprintable, escape)

/** A JSON value as one YAML document with its line end: block style, and quotes wherever there could be a doubt. */
export const toYaml = (value: unknown): string => `${linesOf(value).join('\n')}\n`

function linesOf(value: unknown): string[] {
  if (Array.isArray(value) && value.length > 0) {
    return value.flatMap((item) => {
      const [first, ...rest] = linesOf(item)
      return [`- ${first!}`, ...rest.map((line) => `  ${line}`)]
    })
  }
  if (isRecord(value)) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    if (fields.length > 0) return fields.flatMap(([name, field]) => fieldLines(name, field))
    return ['{}']
  }
  return [typeof value === 'string' ? textOf(value) : JSON.stringify(value ?? null)]
}

function fieldLines(name: string, field: unknown): string[] {
  const lines = linesOf(field)
  if (Array.isArray(field) && field.length > 0) return [`${textOf(name)}:`, ...lines]
  if (isRecord(field) && Object.keys(field).length > 0 && lines[0] !== '{}') {
    return [`${textOf(name)}:`, ...lines.map((line) => `  ${line}`)]
  }
  return [`${textOf(name)}: ${lines[0]!}`]
}
