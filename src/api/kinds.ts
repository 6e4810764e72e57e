/** The registry of kinds at run time, read from the generated schemas so that no schema library is loaded. */
import generated from './generated/schemas.json' with { type: 'json' }
import type { Kind } from './resources.ts'
import type { KindInfo } from './schema.ts'

export const kinds = generated as unknown as readonly KindInfo[]

const byKind = new Map<string, KindInfo>(kinds.map((info) => [info.kind, info]))

export const kindInfo = (kind: Kind): KindInfo => byKind.get(kind)!
export const isKind = (kind: string): kind is Kind => byKind.has(kind)
