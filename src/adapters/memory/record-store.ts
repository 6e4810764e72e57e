import type { RecordStore } from '../../ports/record-store.ts'

/** Records that are forgotten with their process. */
export function createMemoryRecords(initial: readonly { name: string; value: unknown }[] = []): RecordStore {
  const texts = new Map(initial.map(({ name, value }) => [name, JSON.stringify(value)]))
  return {
    async get(name) {
      const text = texts.get(name)
      return text === undefined ? undefined : (JSON.parse(text) as unknown)
    },
    async put(name, value) {
      texts.set(name, JSON.stringify(value))
    },
    async delete(name) {
      texts.delete(name)
    },
    async list(prefix) {
      return [...texts]
        .filter(([name]) => name.startsWith(prefix))
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, text]) => ({ name, value: JSON.parse(text) as unknown }))
    },
  }
}
