import type { RecordStore } from '../../ports/record-store.ts'

/** Records that are forgotten with their process. */
export function createMemoryRecords(initial: readonly { name: string; value: unknown }[] = []): RecordStore {
  const records = new Map<string, unknown>(initial.map(({ name, value }) => [name, structuredClone(value)]))
  return {
    get: async (name) => structuredClone(records.get(name)),
    put: async (name, value) => void records.set(name, structuredClone(value)),
    delete: async (name) => void records.delete(name),
    list: async (prefix) =>
      [...records]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => ({ name, value: structuredClone(value) }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  }
}
