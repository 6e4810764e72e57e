import { readBank, type Bug } from '../bugs/bank.ts'
import { code, table } from './markdown.ts'
import { notPromised, promises, type NamedTest, type Promised } from './promises.ts'

const link = (file: string): string => `[${file.replace('test/', '')}](../${file})`

const testLine = ([file, name]: NamedTest): string => `- ${link(file)}: ${name.replace(/^: /, '')}`

const bugRow = ({ name, mistake, test, title }: Bug): string[] => [
  `[${name.slice(0, name.indexOf('-'))}](../test/bugs/${name}.patch)`,
  mistake,
  `${link(test)}: ${title}`,
]

const section = ({ number, title, promise, kept, tests }: Promised, bank: readonly Bug[]): string =>
  `## ${number}. ${title}

**${promise}** ${kept}

Red if it breaks:

${tests.map(testLine).join('\n')}

${table(
  ['planted', 'mistake', 'the test that must find it'],
  bank.filter((bug) => bug.promises.includes(number)).map(bugRow),
)}`

/** docs/promises.md, from the table of promises and the headers of the planted mistakes. */
export async function promisesPage(): Promise<string> {
  const bank = await readBank()
  return `# Promises

Generated from \`test/docs/promises.ts\` and the headers of \`test/bugs/*.patch\` by \`npm run generate\`.

What an operator may rely on, how it is kept, and how we know. Each promise names tests that go red when it breaks, and mistakes
that a maintainer could make: ${code('npm run bugs')} plants each of these in a copy of the sources and demands that its test
finds it. [figures.md](figures.md) has how much was tried, and how much of it was found.

${promises.map((promised) => section(promised, bank)).join('\n\n')}

## Not promised

${table(
  ['number', 'what', 'why not'],
  Object.entries(notPromised).map(([number, [title, why]]) => [number, title, why]),
)}
`
}
