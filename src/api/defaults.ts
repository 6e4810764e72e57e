import { kindInfo } from './kinds.ts'
import type { UpgradePolicySpec } from './resources.ts'
import type { Schema } from './schema.ts'

/** The value that a schema gives to a field that nobody wrote: its default, with the defaults below it filled in. */
export function defaultOf(schema: Schema): unknown {
  if (schema.default === undefined || schema.type !== 'object') return schema.default
  const filled: Record<string, unknown> = { ...(schema.default as object) }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const value = filled[name] ?? defaultOf(property)
    if (value !== undefined) filled[name] = value
  }
  return filled
}

const policyField = (name: string): unknown => defaultOf(kindInfo('UpgradePolicy').spec.properties![name]!)

/** How an operation that no policy made is treated: every default of a policy. */
export const defaultPolicySettings = Object.freeze({
  retry: policyField('retry'),
  offline: policyField('offline'),
  timeouts: policyField('timeouts'),
  history: policyField('history'),
}) as Readonly<Pick<UpgradePolicySpec, 'retry' | 'offline' | 'timeouts' | 'history'>>
