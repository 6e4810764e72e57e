/** Writes what comes out of the schemas: `node src/api/generate.ts`; with `--check` it only says what is stale. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { crdOf } from './crd.ts'
import { editorSchema } from './editor-schema.ts'
import type { KindInfo, Schema } from './schema.ts'
import { kindSchemas } from './schemas/all.ts'

/** A field with a default need not be written, so it is not `required`, although it is always there afterwards. */
function relaxed(schema: Schema): Schema {
  const copy: Schema = { ...schema }
  if (schema.properties) {
    copy.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, relaxed(property)]),
    )
    const required = (schema.required ?? []).filter(
      (name) => schema.properties?.[name]?.default === undefined,
    )
    delete copy.required
    if (required.length > 0) copy.required = required
  }
  if (schema.items) copy.items = relaxed(schema.items)
  return copy
}

const kinds: KindInfo[] = kindSchemas.map((schema) => ({
  kind: schema.kind,
  plural: schema.plural,
  singular: schema.kind.toLowerCase(),
  shortNames: [...schema.shortNames],
  description: schema.description,
  columns: [...schema.columns],
  rules: [...schema.rules],
  // A TypeBox schema is JSON Schema with non-enumerable extras; the round trip leaves those behind.
  spec: relaxed(JSON.parse(JSON.stringify(schema.spec)) as Schema),
  status: relaxed(JSON.parse(JSON.stringify(schema.status)) as Schema),
}))

const crds = kinds.map((info): [string, string] => [
  `reflash.dev_${info.plural}.yaml`,
  stringify(crdOf(info), { lineWidth: 0 }),
])
// Lets kustomize take them from where they are: it reads no single file outside of its folder.
const kustomization = {
  apiVersion: 'kustomize.config.k8s.io/v1beta1',
  kind: 'Kustomization',
  resources: crds.map(([name]) => name).toSorted(),
}
const files = new Map<string, string>([
  ['src/api/generated/schemas.json', `${JSON.stringify(kinds, null, 1)}\n`],
  ['crds/reflash.schema.json', `${JSON.stringify(editorSchema(kinds), null, 2)}\n`],
  ['crds/kustomization.yaml', stringify(kustomization)],
  ...crds.map(([name, text]): [string, string] => [`crds/${name}`, text]),
])

const root = fileURLToPath(new URL('../../', import.meta.url))
const checking = process.argv.includes('--check')
const stale: string[] = []
for (const [file, content] of files) {
  const path = `${root}${file}`
  let before: string | undefined
  try {
    before = readFileSync(path, 'utf8')
  } catch {
    // Not there yet: stale.
  }
  if (before === content) continue
  stale.push(file)
  if (checking) continue
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}
if (stale.length > 0) process.stdout.write(`${checking ? 'stale' : 'written'}: ${stale.join(', ')}\n`)
if (checking && stale.length > 0) process.exitCode = 1
