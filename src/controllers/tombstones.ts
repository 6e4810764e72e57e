import type { Device, DeviceStatus } from '../api/resources.ts'
import { keyOf, keyString } from '../core/keys.ts'
import { toMs, toTime } from '../core/time.ts'
import type { Ports } from './ports.ts'

/** What is remembered of a removed device: who it was, and how it proves that. */
interface Tombstone {
  removedTime: string
  identity?: string
  hostKeys?: string[]
}

const recordName = (device: Device): string => `removed-device/${keyString(keyOf(device))}`

export async function keepTombstone(device: Device, { records, clock }: Ports): Promise<void> {
  const { identity, hostKeys } = device.status
  if (identity === undefined && hostKeys === undefined) return
  const tombstone: Tombstone = {
    removedTime: toTime(clock.now()),
    ...(identity === undefined ? {} : { identity }),
    ...(hostKeys === undefined ? {} : { hostKeys }),
  }
  await records.put(recordName(device), tombstone)
}

/** Gives a device that returns its pins and identity back, so that nothing is trusted anew. */
export async function recallTombstone(device: Device, { records, store }: Ports): Promise<Device> {
  const tombstone = (await records.get(recordName(device))) as Tombstone | undefined
  // Another controller may just have given them back, before it deleted the record.
  if (!tombstone) return (await store.get('Device', keyOf(device))) ?? device
  const status: DeviceStatus = { ...device.status }
  if (tombstone.identity !== undefined) status.identity = tombstone.identity
  if (tombstone.hostKeys !== undefined) status.hostKeys = tombstone.hostKeys
  const restored = await store.saveStatus({ ...device, status })
  await records.delete(recordName(device))
  return restored
}

/** Forgets devices that were removed longer ago than anybody keeps history. */
export async function pruneTombstones(
  keepMs: number,
  { records, clock }: Pick<Ports, 'records' | 'clock'>,
): Promise<void> {
  for (const { name, value } of await records.list('removed-device/')) {
    if (clock.now() - toMs((value as Tombstone).removedTime) > keepMs) await records.delete(name)
  }
}
