/**
 * Small durable facts that are no resource: the governor's latch, what is remembered of removed devices.
 * Values are JSON. A write survives a power cut once its promise has resolved.
 */
export interface RecordStore {
  get(name: string): Promise<unknown>
  put(name: string, value: unknown): Promise<void>
  delete(name: string): Promise<void>
  list(prefix: string): Promise<{ name: string; value: unknown }[]>
}
