/** Content that is being sent: a fleet sends the same image again and again, and need not read it each time. */
export interface HeldContent {
  /**
   * The content of that name, loaded once for all who want it; undefined when there is no room. The caller gives it
   * back when done, and does not change it. Rejects as `load` does, and tries again next time.
   */
  borrow(name: string, sizeBytes: number, load: () => Promise<Uint8Array>): Promise<Loan> | undefined
  /** Forgets what nobody uses. */
  clear(): void
}

export interface Loan {
  content: Uint8Array
  giveBack(): void
}

interface Entry {
  sizeBytes: number
  content: Promise<Uint8Array>
  users: number
}

/** Holds at most so many bytes, the last used for longest; what is in use is never given up for something else. */
export function createHeldContent(maxBytes: number): HeldContent {
  /** The least recently borrowed first. */
  const entries = new Map<string, Entry>()

  const makeRoom = (sizeBytes: number): boolean => {
    const sizes = [...entries].map(([name, entry]) => ({ name, ...entry }))
    let freeBytes = maxBytes - sizes.reduce((sum, entry) => sum + entry.sizeBytes, 0)
    const usedBytes = sizes.reduce((sum, entry) => sum + (entry.users > 0 ? entry.sizeBytes : 0), 0)
    if (usedBytes + sizeBytes > maxBytes) return false
    for (const { name, users, sizeBytes: freed } of sizes) {
      if (freeBytes >= sizeBytes) break
      if (users > 0) continue
      entries.delete(name)
      freeBytes += freed
    }
    return true
  }

  const add = (name: string, sizeBytes: number, load: () => Promise<Uint8Array>): Entry | undefined => {
    if (!makeRoom(sizeBytes)) return undefined
    const entry = { sizeBytes, content: load(), users: 0 }
    entry.content.catch(() => {
      if (entries.get(name) === entry) entries.delete(name)
    })
    return entry
  }

  return {
    borrow: (name, sizeBytes, load) => {
      const entry = entries.get(name) ?? add(name, sizeBytes, load)
      if (!entry) return undefined
      entries.delete(name)
      entries.set(name, entry)
      entry.users += 1
      let isBack = false
      const giveBack = (): void => {
        if (!isBack) entry.users -= 1
        isBack = true
      }
      return entry.content.then(
        (content) => ({ content, giveBack }),
        (error: unknown) => {
          giveBack()
          throw error
        },
      )
    },
    clear: () => {
      for (const [name, { users }] of entries) if (users === 0) entries.delete(name)
    },
  }
}
