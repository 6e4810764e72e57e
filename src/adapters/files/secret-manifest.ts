import { isRecord, readMetadata } from '../../api/metadata.ts'
import { formatPath, type Path, type Problem } from '../../api/problem.ts'

/** A `v1/Secret` as a file declares it: its entries as text. */
export interface SecretManifest {
  namespace: string
  name: string
  entries: Readonly<Record<string, string>>
}

export type SecretReading = { ok: true; secret: SecretManifest } | { ok: false; problems: Problem[] }

const fields = ['apiVersion', 'kind', 'metadata', 'type', 'immutable', 'data', 'stringData']
/** As an API server allows; also keeps an entry's name from being a path. */
const entryName = /^[-._a-zA-Z0-9]{1,253}$/
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const knownEntries = new Set(['username', 'password', 'passphrase', 'ssh-privatekey'])

/** A path of a Secret for people: it ends before a name that we do not know, since a slip can make a key of a password. */
export function formatSecretPath(path: Path): string {
  if (path[0] === 'metadata') return formatPath(path)
  if (!fields.includes(String(path[0]))) return ''
  return formatPath(knownEntries.has(String(path[1])) ? path.slice(0, 2) : path.slice(0, 1))
}

/** Reads a Secret. No message quotes anything of `data` or `stringData`; print paths with `formatSecretPath`. */
export function readSecret(value: Record<string, unknown>): SecretReading {
  const problems: Problem[] = []
  const refuse = (path: Path, message: string): void => {
    problems.push({ reason: 'Invalid', path, message, expected: message, found: 'something else' })
  }
  for (const key of Object.keys(value)) {
    if (fields.includes(key)) continue
    const message = `has a field that is not one of ${fields.join(', ')}`
    problems.push({
      reason: 'UnknownField',
      path: [key],
      message,
      expected: fields.join(', '),
      found: 'another',
    })
  }
  const { name, namespace } = readMetadata(value['metadata'], {
    add: (problem) => problems.push(problem),
    notText: (_, path) => ({
      reason: 'Invalid',
      path,
      message: 'must be a string',
      expected: 'a string',
      found: 'something else',
    }),
    unknownFields: 'drop',
  })
  const entries = { ...readEntries(value, 'data', refuse), ...readEntries(value, 'stringData', refuse) }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, secret: { namespace, name, entries } }
}

function readEntries(
  value: Record<string, unknown>,
  field: 'data' | 'stringData',
  refuse: (path: Path, message: string) => void,
): Record<string, string> {
  const map = value[field]
  if (map === undefined) return {}
  if (!isRecord(map)) {
    refuse([field], 'must be a map of strings')
    return {}
  }
  const entries: [string, string][] = []
  for (const [name, text] of Object.entries(map)) {
    const path = [field, name]
    if (!entryName.test(name) || name === '__proto__') refuse(path, 'has an entry whose name is not allowed')
    else if (typeof text === 'number' || typeof text === 'boolean') refuse(path, 'must be a string, quote it')
    else if (typeof text !== 'string') refuse(path, 'must be a string')
    else if (field === 'stringData') entries.push([name, text])
    else if (!base64.test(text.replaceAll(/\s/g, '')))
      refuse(path, 'must be base64; plain text belongs under stringData')
    else entries.push([name, Buffer.from(text, 'base64').toString('utf8')])
  }
  return Object.fromEntries(entries)
}
