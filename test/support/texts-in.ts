/** Every text of a value, whatever its shape; also the names of its fields. */
export function textsIn(value: unknown, found: string[] = []): string[] {
  if (typeof value === 'string') found.push(value)
  else if (typeof value === 'object' && value !== null)
    for (const [name, entry] of Object.entries(value)) {
      found.push(name)
      textsIn(entry, found)
    }
  return found
}
