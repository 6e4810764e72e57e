import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** A mistake that a maintainer could make, as a patch, and the test that must find it. */
export interface Bug {
  /** Of the patch, without its ending. */
  name: string
  /** Path of the patch. */
  path: string
  mistake: string
  /** The promises of `docs/promises.md` that it breaks, by number. */
  promises: readonly number[]
  /** The test file that must go red. */
  test: string
  /** Stands in the name of the test that must fail, its describe blocks included: `a verdict > SameBoot`. */
  title: string
  /** Stands in what the failed test says, where its name does not tell the right reason from a wrong one. */
  says?: string
  /** Within so many worlds of chance; absent where nothing is left to chance. */
  seeds?: number
}

export const bankFolder = fileURLToPath(new URL('.', import.meta.url))

/** Every planted mistake, in the order of its number. @throws Error naming the patch whose header is not as it should be. */
export async function readBank(): Promise<Bug[]> {
  const files = (await readdir(bankFolder)).filter((file) => file.endsWith('.patch')).toSorted()
  return Promise.all(
    files.map(async (file) =>
      readHeader(file.slice(0, -'.patch'.length), await readFile(bankFolder + file, 'utf8')),
    ),
  )
}

const known = new Set(['Mistake', 'Breaks', 'Test', 'Title', 'Says', 'Seeds'])

/** The lines before the diff, which `git apply` passes over. */
export function headerOf(text: string): string {
  const end = text.indexOf('diff --git ')
  return end === -1 ? text : text.slice(0, end)
}

function readHeader(name: string, text: string): Bug {
  const fields = new Map<string, string>()
  for (const line of headerOf(text).split('\n')) {
    if (line === '') continue
    const [, field = '', value = ''] = /^([A-Z][a-z]+): (.+)$/.exec(line) ?? []
    if (!known.has(field) || fields.has(field)) throw new Error(`${name}: "${line}" is no field of a header`)
    fields.set(field, value)
  }
  const need = (field: string): string => {
    const value = fields.get(field)
    if (value === undefined) throw new Error(`${name}: its header has no "${field}:"`)
    return value
  }
  const promises = need('Breaks').split(', ').map(Number)
  if (!promises.every(Number.isInteger)) throw new Error(`${name}: "${need('Breaks')}" are no promises`)
  const says = fields.get('Says')
  const seeds = fields.get('Seeds')
  return {
    name,
    path: `${bankFolder}${name}.patch`,
    mistake: need('Mistake'),
    promises,
    test: need('Test'),
    title: need('Title'),
    ...(says === undefined ? {} : { says }),
    ...(seeds === undefined ? {} : { seeds: Number(seeds) }),
  }
}
