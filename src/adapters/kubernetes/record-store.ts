import { createHash } from 'node:crypto'
import { hasCode } from '../../core/errors.ts'
import type { RecordStore } from '../../ports/record-store.ts'
import { failureOf, isAbsent } from './api-failure.ts'
import type { ApiAnswer, Transport } from './transport.ts'

/** On each of our ConfigMaps; its value is the first part of the record's name. */
const recordLabel = 'reflash.dev/record'
const pageSize = '500'

interface ConfigMap {
  data?: { name?: string; value?: string }
}

/** Records as ConfigMaps of one namespace, one each: a ConfigMap takes 1 MiB, and removed devices may be many. */
export function createConfigMapRecords(transport: Transport, namespace: string): RecordStore {
  const collection = `/api/v1/namespaces/${namespace}/configmaps`
  const objectName = (name: string): string =>
    `reflash-record-${createHash('sha256').update(name).digest('hex').slice(0, 24)}`
  const place = (name: string): string => `${collection}/${objectName(name)}`
  const check = (answer: ApiAnswer, what: string): void => {
    const failure = failureOf(answer, what)
    if (failure) throw failure
  }
  const bodyOf = (name: string, value: unknown) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: objectName(name), namespace, labels: { [recordLabel]: labelOf(name) } },
    data: { name, value: JSON.stringify(value) },
  })

  return {
    async get(name) {
      const answer = await transport.request({ method: 'GET', path: place(name) })
      if (isAbsent(answer)) return undefined
      check(answer, `record ${name}`)
      return valueOf(answer.body as ConfigMap)
    },
    async put(name, value) {
      const body = bodyOf(name, value)
      const replace = () => transport.request({ method: 'PUT', path: place(name), body })
      const replaced = await replace()
      if (!isAbsent(replaced)) return check(replaced, `record ${name}`)
      const made = await transport.request({ method: 'POST', path: collection, body })
      const isTaken = hasCode(failureOf(made, ''), 'AlreadyExists')
      check(isTaken ? await replace() : made, `record ${name}`)
    },
    async delete(name) {
      const answer = await transport.request({ method: 'DELETE', path: place(name) })
      if (!isAbsent(answer)) check(answer, `record ${name}`)
    },
    async list(prefix) {
      const found: { name: string; value: unknown }[] = []
      let next: string | undefined
      do {
        const query = { labelSelector: recordLabel, limit: pageSize, ...(next ? { continue: next } : {}) }
        const answer = await transport.request({ method: 'GET', path: collection, query })
        check(answer, 'records')
        const page = answer.body as { items?: ConfigMap[]; metadata: { continue?: string } }
        for (const item of page.items ?? []) {
          const name = item.data?.name
          if (name?.startsWith(prefix)) found.push({ name, value: valueOf(item) })
        }
        next = page.metadata.continue
      } while (next)
      return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
  }
}

const valueOf = ({ data }: ConfigMap): unknown => JSON.parse(data?.value ?? 'null') as unknown

/** What a label may hold of the first part of a name. */
const labelOf = (name: string): string =>
  name
    .split('/')[0]!
    .replaceAll(/[^A-Za-z0-9._-]/g, '')
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
