import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict'
import { parseAllDocuments, type Document } from 'yaml'
import { formatDiagnostic, inFile } from '../../../src/adapters/files/diagnostic.ts'
import { parseContent } from '../../../src/adapters/files/parse-content.ts'
import { parseFile, type ParsedFile } from '../../../src/adapters/files/parse-file.ts'
import { systemClock } from '../../../src/adapters/clock/system-clock.ts'
import type { Manifest } from '../../../src/api/resources.ts'
import { exampleFleet } from '../../support/example-fleet.ts'
import { wayOf, type FuzzTarget } from '../fuzzer.ts'

const shown = /^[^\p{C}\p{Zl}\p{Zp}]*$/u

/** A policy that says every limit, and says them in blocks. */
const wholePolicy = `apiVersion: reflash.dev/v1alpha1
kind: UpgradePolicy
metadata:
  name: all
  labels: {team: "a"}
spec:
  categoryRef: {name: ap}
  selector:
    matchLabels:
      site: lobby
    matchExpressions:
      - {key: ring, operator: In, values: [a, b]}
  target:
    buildRef: {name: new}
    allowDowngrade: false
  state: Pause
  limits:
    maxConcurrent: 2
    startsPerMinute: 1
`

function checkLimits({ limits }: Manifest<'UpgradePolicy'>['spec']): void {
  for (const limit of [limits.maxConcurrent, limits.startsPerMinute]) {
    ok(Number.isInteger(limit))
    ok(limit >= 1)
    ok(limit <= 10_000)
  }
}

/** Whoever writes down what was read, reads the same again. */
function checkRoundTrip(item: ParsedFile['items'][number]): void {
  const { id, manifest } = item
  if (!manifest) return
  const again = parseFile(JSON.stringify(manifest))
  deepEqual(again.problems, [])
  deepEqual(
    again.items.map((each) => ({ id: each.id, manifest: each.manifest })),
    [{ id, manifest }],
  )
  if (manifest.kind === 'UpgradePolicy') checkLimits((manifest as Manifest<'UpgradePolicy'>).spec)
}

/** What is accepted is accepted by a reader as others have it, which takes no key twice. */
function checkOtherReader(text: string): void {
  const documents = parseAllDocuments(text, { uniqueKeys: true, logLevel: 'silent' }) as Document[]
  deepEqual(
    documents.flatMap(({ errors }) => errors.map(({ code }) => code)),
    [],
  )
}

async function runManifests(input: Buffer): Promise<string> {
  const parsed = await parseContent(input, systemClock)
  const lines = input.toString('utf8').split('\n').length
  for (const problem of parsed.problems) {
    match(formatDiagnostic(inFile('fleet.yaml', problem)), shown)
    notEqual(problem.message, '')
    ok(problem.line >= 1)
    ok(problem.line <= lines + 1)
  }
  for (const item of parsed.items) checkRoundTrip(item)
  const isOurs = parsed.skipped === 0 && parsed.problems.length === 0
  if (parsed.items.length > 0 && isOurs) checkOtherReader(input.toString('utf8'))
  const taken = [...parsed.items, ...parsed.spoiled].map(({ id }) => id)
  for (const id of taken) match(id, /^[A-Za-z]+\/[-a-z0-9.]+\/[-a-z0-9.]+$/)
  equal(({} as Record<string, unknown>)['polluted'], undefined)
  const [first] = parsed.problems
  const kinds = new Set(parsed.items.map(({ id }) => id.replace(/\/.*/, '')))
  return `${[...kinds].join(' ')}; ${first ? `${first.reason} ${wayOf(first.message)}` : 'fine'}`
}

/** The files of a directory. */
export const manifestsTarget: FuzzTarget = {
  name: 'manifests',
  seeds: [
    ...exampleFleet.split('---\n').map((text) => Buffer.from(text)),
    Buffer.from(wholePolicy),
    Buffer.from(`${exampleFleet.split('---\n')[1]}---\n${wholePolicy}`),
  ],
  words: [
    '---\n',
    '...\n',
    '\n',
    '\n  ',
    ': ',
    '- ',
    '? ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '|\n',
    '>-\n',
    '&a ',
    '*a',
    '!!int ',
    '!x ',
    '<<: ',
    '%YAML 1.1\n',
    '# ',
    'null',
    '~',
    'yes',
    'off',
    '0x10',
    '1e9',
    '.inf',
    '-1',
    '24.10',
    '__proto__: {polluted: 1}\n',
    'constructor',
    'maxConcurrent: ',
    'limits:',
    'state: ',
    'spec:',
    'kind: Secret\n',
    '\t',
    '\r\n',
    '\0',
    '\xef\xbb\xbf',
    '\xe2\x80\xae',
    '\xff',
    '{'.repeat(70),
    '- '.repeat(70),
  ],
  maxBytes: 8192,
  run: runManifests,
}
