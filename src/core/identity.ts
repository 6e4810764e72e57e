/**
 * Whether two identities (MAC addresses and serial numbers, joined by commas) are of one device: they share a part. An
 * upgrade may add ports or rename them, so the whole set need not be the same.
 */
export function isSameIdentity(a: string, b: string): boolean {
  if (a === b) return true
  const parts = new Set(a.split(','))
  return b.split(',').some((part) => part !== '' && parts.has(part))
}
