import { defaultOf } from '../api/defaults.ts'
import { kindInfo } from '../api/kinds.ts'
import type { Kind, KindMap, Manifest } from '../api/resources.ts'
import { apiVersion, type Schema } from '../api/schema.ts'

/** One object, as an operator writes it and as it is stored. */
export interface Declared<K extends Kind = Kind> {
  /** With nothing in it that has a default. */
  written: {
    apiVersion: string
    kind: K
    metadata: { name: string; labels?: Record<string, string> }
    spec: object
  }
  manifest: Manifest<K>
}

type Sparse<T> = T extends readonly unknown[] ? T : T extends object ? { [P in keyof T]?: Sparse<T[P]> } : T

const withDefaults = (schema: Schema, value: unknown): unknown => {
  if (value === undefined) return defaultOf(schema)
  if (schema.properties === undefined || typeof value !== 'object') return value
  const filled: Record<string, unknown> = { ...value }
  for (const [name, property] of Object.entries(schema.properties)) {
    const inner = withDefaults(property, filled[name])
    if (inner !== undefined) filled[name] = inner
  }
  return filled
}

/** An object in the namespace `default`, from what an operator would write; it is not validated. */
export const declare = <K extends Kind>(
  kind: K,
  name: string,
  spec: Sparse<KindMap[K]['spec']>,
  labels?: Record<string, string>,
): Declared<K> => {
  const more = labels === undefined ? {} : { labels }
  return {
    written: { apiVersion, kind, metadata: { name, ...more }, spec },
    manifest: {
      apiVersion,
      kind,
      metadata: { name, namespace: 'default', ...more },
      spec: withDefaults(kindInfo(kind).spec, spec) as KindMap[K]['spec'],
    },
  }
}
