import type { AnyResource } from '../../src/api/resources.ts'

/** The process was told that this version of an object is kept. */
export interface Kept {
  kept: string
  version: string
}

/** The process is about to send a command to a device. */
export interface Sent {
  sent: string
  address: string
  args: readonly string[]
}

export const idOf = ({ kind, metadata }: Pick<AnyResource, 'kind' | 'metadata'>): string =>
  `${kind} ${metadata.namespace}/${metadata.name}`
