import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A command as a page shows it, and what it says that this prints; lines that it leaves out are left out. */
export interface Transcript {
  /** Without the prompt. */
  command: string
  lines: readonly string[]
}

/** The `console` blocks of a page, by its path in the repository; or of one of its sections, by the heading. */
export function readTranscripts(page: string, section?: string): Transcript[] {
  const whole = readFileSync(fileURLToPath(new URL(`../../${page}`, import.meta.url)), 'utf8')
  const text = section === undefined ? whole : sectionOf(whole, section)
  return Array.from(text.matchAll(/^```console\n(.*?)^```$/gms), ([, block]) => block!).flatMap(inBlock)
}

function sectionOf(page: string, heading: string): string {
  const found = page.split(/^## /m).find((section) => section.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`no section is called ${heading}`)
  return found
}

const inBlock = (block: string): Transcript[] =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = '', ...lines] = part.split('\n')
      return { command, lines: lines.filter((line) => !/^\s*(?:…|\.\.\.)?$/.test(line)) }
    })

/** What differs from run to run: times, ages, ports, keys, and where the state is. The widths of columns follow from these. */
const steady = (line: string): string =>
  line
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z?/g, '<time>')
    .replaceAll(/(?<=\d):\d{4,5}(?= )/g, '<port>')
    .replaceAll(/SHA256:[\w+/]+|AAAA[\w+/=]+/g, '<key>')
    .replaceAll(/(?<=^| )(?:\d+[dhms]){1,2}(?= |$)/g, '<age>')
    .replaceAll(/\/\S+\/state\.db/g, '<state>')
    .replaceAll(/ +/g, ' ')
    .trimEnd()

/** Lines of a transcript that a real output lacks, or has elsewhere: each is looked for after the one before. */
export function linesNotIn(output: string, lines: readonly string[]): string[] {
  let rest = output.split('\n').map(steady)
  return lines.filter((line) => {
    const at = rest.indexOf(steady(line))
    rest = rest.slice(at + 1)
    return at < 0
  })
}
