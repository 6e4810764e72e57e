import { parseAccept } from 'hono/utils/accept'
import type { TableVersion } from './table.ts'

export type Form = { type: 'json' } | { type: 'table'; version: TableVersion }

const jsonTypes = new Set(['application/json', 'application/*', '*/*'])
const tableVersions = new Set<string>(['v1', 'v1beta1'])

/** The form that a client wants most among those that we write; undefined when there is none. */
export function acceptedForm(header: string | undefined): Form | undefined {
  if (header === undefined || header.trim() === '') return { type: 'json' }
  for (const { type, params, q } of parseAccept(header)) {
    if (!jsonTypes.has(type.toLowerCase()) || q === 0) continue
    const { as, g, v } = params as Partial<Record<string, string>>
    if (as === undefined) return { type: 'json' }
    if (as === 'Table' && g === 'meta.k8s.io' && tableVersions.has(v ?? '')) {
      return { type: 'table', version: v as TableVersion }
    }
  }
  return undefined
}
