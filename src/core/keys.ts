import type { AnyResource, Key } from '../api/resources.ts'
import { ReflashError } from './errors.ts'

export const keyOf = ({ metadata: { namespace, name } }: Pick<AnyResource, 'metadata'>): Key => ({
  namespace,
  name,
})

export const keyString = ({ namespace, name }: Key): string => `${namespace}/${name}`

/** The reverse of `keyString`. @throws ReflashError `Invalid`. */
export function parseKey(text: string): Key {
  const [namespace, name, ...more] = text.split('/')
  if (!namespace || !name || more.length > 0)
    throw new ReflashError('Invalid', `"${text}" is no namespace/name`)
  return { namespace, name }
}

/** Orders by namespace, then name. */
export const byName = (a: Pick<AnyResource, 'metadata'>, b: Pick<AnyResource, 'metadata'>): number =>
  compareText(a.metadata.namespace, b.metadata.namespace) || compareText(a.metadata.name, b.metadata.name)

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** One object of any kind as text; a later one of the same name is another. */
export const subjectString = ({ kind, namespace, name, uid }: Key & { kind: string; uid?: string }): string =>
  [kind, namespace, name, uid].join('\0')
