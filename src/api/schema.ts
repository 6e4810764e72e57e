/** The shape of a schema, and the names that every schema shares. */
import type { Kind } from './resources.ts'

export const group = 'reflash.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}` as const

/** The keys that a label can have; not every one of them is a domain before its slash. */
export const labelKeyPattern = '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'

/** A JSON Schema in the vocabulary of structural CRDs. */
export interface Schema {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  description?: string
  default?: unknown
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: Schema | false
  items?: Schema
  enum?: unknown[]
  pattern?: string
  format?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  maxProperties?: number
  [extension: `x-kubernetes-${string}`]: unknown
}

export interface Column {
  name: string
  jsonPath: string
  type: 'string' | 'integer' | 'date' | 'boolean' | 'number'
  priority?: number
}

/** A CEL rule over `spec`, as the API server runs it; `validate.ts` repeats each for files. */
export interface Rule {
  rule: string
  message: string
  fieldPath?: string
}

export interface KindInfo {
  kind: Kind
  plural: string
  singular: string
  shortNames: string[]
  description: string
  columns: Column[]
  rules: Rule[]
  spec: Schema
  status: Schema
}
