import type { AnyResource, Key } from '../api/resources.ts'

export const keyOf = ({ metadata: { namespace, name } }: Pick<AnyResource, 'metadata'>): Key => ({ namespace, name })

export const keyString = ({ namespace, name }: Key): string => `${namespace}/${name}`

export function parseKey(text: string): Key {
  const slash = text.indexOf('/')
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) }
}

/** Orders by namespace, then name. */
export const byName = (a: Pick<AnyResource, 'metadata'>, b: Pick<AnyResource, 'metadata'>): number =>
  compareText(a.metadata.namespace, b.metadata.namespace) || compareText(a.metadata.name, b.metadata.name)

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
