/** Holds the layers, one home for each package, and the few places that may touch time, process and console. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../src/', import.meta.url))

interface Import {
  /** As written. */
  from: string
  /** Path below src of a relative one. */
  file?: string
  typeOnly: boolean
}
interface Source {
  path: string
  /** Without comments and plain strings. */
  code: string
  imports: Import[]
}

/** Comments, and strings in quotes; what is in a template stays, since it may hold code. */
const commentOrString = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g
const importOrExport = /^\s*(?:import|export)\b(?<what>[^'"`;=()]*?)\bfrom\s*['"](?<from>[^'"]+)['"]/gm
const bareOrDynamic = /\bimport\s*\(?\s*['"](?<from>[^'"]+)['"]/g

function importsOf(path: string, text: string): Import[] {
  const found = [...text.matchAll(importOrExport), ...text.matchAll(bareOrDynamic)]
  return found.map(({ groups }) => {
    const from = groups!['from']!
    const typeOnly = /^\s*type\b/.test(groups!['what'] ?? '')
    return from.startsWith('.')
      ? { from, typeOnly, file: normalize(join(dirname(path), from)) }
      : { from, typeOnly }
  })
}

const read = (path: string, text: string): Source => ({
  path,
  code: text.replaceAll(commentOrString, (match) => (match.startsWith('/') ? '' : "''")),
  imports: importsOf(path, text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')),
})
const sources = globSync('**/*.ts', { cwd: root }).map((path) =>
  read(path, readFileSync(join(root, path), 'utf8')),
)

const isIn = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`)
const isInAny = (path: string, places: readonly string[]): boolean =>
  places.some((place) => isIn(path, place))

const outward = ['adapters', 'upgraders']
/** The part a file belongs to: its folder, below adapters and upgraders the second one, or the file itself where it lies in none. */
function partOf(path: string): string {
  const [first, second] = path.split('/') as [string, string?]
  return outward.includes(first) && second !== undefined ? `${first}/${second}` : first
}

/** What each part may import beside itself. Parts that are not here may import all but adapters and upgraders. */
const mayImport: Record<string, readonly string[]> = {
  api: ['core'],
  core: ['api'],
  ports: ['api', 'core'],
  controllers: ['api', 'core', 'ports'],
  adapters: ['api', 'core', 'ports'],
  upgraders: ['api', 'core', 'ports'],
  server: ['api', 'core', 'ports', 'controllers'],
  simulator: ['api', 'core', 'ports', 'upgraders/openwrt', 'adapters/clock'],
}
/** Composition roots: they put the parts together. */
const composers = ['main.ts', 'app.ts', 'cluster.ts', 'compose.ts', 'index.ts']

function crossing({ path }: Source, file: string): boolean {
  if (composers.includes(path)) return false
  const part = partOf(path)
  const [top] = part.split('/') as [string]
  // What two adapters share lies beside their folders.
  const isShared = dirname(file) === top && outward.includes(top)
  if (isIn(file, part) || isShared) return false
  const allowed = mayImport[top]
  return allowed ? !isInAny(file, allowed) : isInAny(file, outward)
}

/** The only places that may import a package; a package that is not here has no place at all. */
const homes: Record<string, readonly string[]> = {
  '@bomb.sh/tab': ['cli/completion.ts'],
  '@hono/node-server': ['server'],
  '@kubernetes/client-node': ['adapters/kubernetes'],
  '@prometheus-io/client': ['adapters/metrics'],
  ajv: ['api'],
  chokidar: ['adapters/files'],
  commander: ['cli'],
  hono: ['server'],
  'node:sqlite': ['adapters/sqlite'],
  'p-queue': ['controllers/work-queue.ts'],
  pino: ['adapters/log'],
  semver: ['core'],
  ssh2: ['adapters/ssh', 'simulator'],
  typebox: ['api/schemas', 'api/resources.ts'],
  undici: ['adapters/images', 'adapters/kubernetes'],
  yaml: ['adapters/files', 'api/generate.ts'],
}
const packageOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/')

function strays({ path, imports }: Source): string[] {
  const packages = imports.map(({ from }) => packageOf(from)).filter((name) => !name.startsWith('.'))
  return packages.filter((name) => {
    if (name.startsWith('node:') && !(name in homes)) return false
    return !isInAny(path, homes[name] ?? [])
  })
}

interface Reserved {
  what: string
  pattern: RegExp
  places: readonly string[]
}
const reserved: readonly Reserved[] = [
  {
    what: 'process',
    pattern: /(?<![.\w])(?:globalThis\.)?process\s*(?:\[|\.(?!nextTick\b))/,
    places: ['main.ts', 'api/generate.ts'],
  },
  {
    what: 'the wall clock',
    pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b/,
    places: ['adapters'],
  },
  {
    what: 'timers',
    pattern: /(?<![.\w])set(?:Timeout|Interval|Immediate)\b|\bAbortSignal\.timeout\b|\bprocess\.nextTick\b/,
    // A live table is drawn for a person, in a person's time.
    places: ['adapters', 'cli/fleet-view.ts'],
  },
  {
    what: 'chance',
    pattern: /\bMath\.random\b|\brandom(?:UUID|Bytes|Int)\b|\bgetRandomValues\b/,
    places: ['adapters', 'app.ts', 'cluster.ts'],
  },
  { what: 'console', pattern: /(?<![.\w])console\s*\./, places: ['cli'] },
  { what: 'a default export', pattern: /\bexport\s+default\b|\bas\s+default\b/, places: [] },
]

const offenders = (all: readonly Source[], { pattern, places }: Reserved): string[] =>
  all.filter(({ path, code }) => pattern.test(code) && !isInAny(path, places)).map(({ path }) => path)

/** Built-in modules by which the pure parts could reach the world. */
const pureBuiltins: Record<string, readonly string[]> = {
  core: ['node:crypto'],
  ports: [],
  controllers: ['node:path'],
}

describe('the sources', () => {
  test('are found, with their imports', () => {
    expect(sources.length).toBeGreaterThan(80)
    expect(sources.flatMap(({ imports }) => imports).length).toBeGreaterThan(400)
  })

  test('import along the arrows', () => {
    const found = sources.flatMap((source) =>
      source.imports.flatMap(({ file }) =>
        file !== undefined && crossing(source, file) ? `${source.path} -> ${file}` : [],
      ),
    )
    expect(found).toEqual([])
  })

  test('import a package only at its home', () => {
    const found = sources.flatMap((source) => strays(source).map((name) => `${source.path} -> ${name}`))
    expect(found).toEqual([])
  })

  test('say the ending in relative imports', () => {
    const found = sources.flatMap(({ path, imports }) =>
      imports
        .filter(({ file, from }) => file !== undefined && !/\.(ts|json)$/.test(from))
        .map(({ from }) => `${path} -> ${from}`),
    )
    expect(found).toEqual([])
  })

  test('load no schema library at run time', () => {
    const found = sources
      .filter(({ path }) => !isInAny(path, ['api/schemas', 'api/generate.ts']))
      .filter(({ imports }) =>
        imports.some(
          ({ file, from, typeOnly }) =>
            !typeOnly && (packageOf(from) === 'typebox' || isIn(file ?? '', 'api/schemas')),
        ),
      )
      .map(({ path }) => path)
    expect(found).toEqual([])
  })

  test('decide without touching the world', () => {
    const found = sources.flatMap(({ path, imports }) => {
      const allowed = pureBuiltins[partOf(path)]
      const builtins = imports.map(({ from }) => from).filter((from) => from.startsWith('node:'))
      return allowed
        ? builtins.filter((from) => !allowed.includes(from)).map((from) => `${path} -> ${from}`)
        : []
    })
    expect(found).toEqual([])
  })

  test.each(reserved)('touch $what only where it belongs', (rule) => {
    expect(offenders(sources, rule)).toEqual([])
  })

  test('have names in kebab-case', () => {
    const found = sources
      .map(({ path }) => path)
      .filter((path) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(path))
    expect(found).toEqual([])
  })
})

describe('the rules themselves', () => {
  test.each<[string, string, string, boolean]>([
    ['core/a.ts', `import { x } from '../adapters/ssh/x.ts'`, 'adapters/ssh/x.ts', true],
    ['core/a.ts', `import type { X } from '../ports/x.ts'`, 'ports/x.ts', true],
    ['core/a.ts', `export * from '../api/x.ts'`, 'api/x.ts', false],
    [
      'controllers/a.ts',
      `import {\n  x,\n  y,\n} from '../upgraders/openwrt/x.ts'`,
      'upgraders/openwrt/x.ts',
      true,
    ],
    ['adapters/ssh/a.ts', `const x = await import('../images/x.ts')`, 'adapters/images/x.ts', true],
    ['adapters/ssh/a.ts', `import './b.ts'`, 'adapters/ssh/b.ts', false],
    ['server/a.ts', `import { x } from '../adapters/sqlite/x.ts'`, 'adapters/sqlite/x.ts', true],
    ['server/a.ts', `import { x } from '../controllers/x.ts'`, 'controllers/x.ts', false],
    ['cli/a.ts', `import { x } from '../controllers/x.ts'`, 'controllers/x.ts', false],
    ['cli/a.ts', `import { x } from '../adapters/files/x.ts'`, 'adapters/files/x.ts', true],
    ['app.ts', `import { x } from './adapters/files/x.ts'`, 'adapters/files/x.ts', false],
    ['adapters/ssh/a.ts', `import { x } from '../x.ts'`, 'adapters/x.ts', false],
    ['adapters/x.ts', `import { x } from './ssh/x.ts'`, 'adapters/ssh/x.ts', true],
  ])('%s: %j', (path, text, file, crosses) => {
    const source = read(path, text)
    expect(source.imports.map((item) => item.file)).toEqual([file])
    expect(crossing(source, file)).toBe(crosses)
  })

  test.each([
    ['core/a.ts', `import PQueue from 'p-queue'`, ['p-queue']],
    ['controllers/work-queue.ts', `import PQueue from 'p-queue'`, []],
    ['core/a.ts', `import { serve } from '@hono/node-server'`, ['@hono/node-server']],
    ['server/a.ts', `import { serve } from '@hono/node-server'`, []],
    ['core/a.ts', `import { createHash } from 'node:crypto'`, []],
    ['core/a.ts', `import { DatabaseSync } from 'node:sqlite'`, ['node:sqlite']],
  ])('%s: %s', (path, text, expected) => expect(strays(read(path, text))).toEqual(expected))

  test.each([
    ['process', 'process.exit(1)', true],
    ['process', "const { env } = globalThis.process['x']", true],
    ['process', 'options.process.start() // process.exit', false],
    ['the wall clock', 'const now = new Date()', true],
    ['the wall clock', 'const now = new Date(ms)', false],
    ['timers', 'setTimeout(f, 1)', true],
    ['timers', "const text = 'setTimeout'", false],
    ['chance', 'Math.random()', true],
    ['chance', 'const id = `x${randomUUID()}`', true],
    ['console', 'console.log(1)', true],
    ['a default export', 'export { x as default }', true],
    ['a default export', 'export default x', true],
  ])('%s: %s', (what, text, found) => {
    const rule = reserved.find((item) => item.what === what)!
    expect(offenders([read('core/a.ts', text)], rule)).toEqual(found ? ['core/a.ts'] : [])
  })
})
