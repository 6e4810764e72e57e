/** Slots for what goes on for long: for all, and for each token. */
export interface WatchCount {
  /** Undefined when there is none left; else what gives the slot back. */
  take(tokenId: string | undefined): (() => void) | undefined
}

export function createWatchCount(max: number, maxPerToken: number): WatchCount {
  let open = 0
  const byToken = new Map<string, number>()
  return {
    take(tokenId) {
      const own = tokenId === undefined ? 0 : (byToken.get(tokenId) ?? 0)
      if (open >= max || own >= maxPerToken) return undefined
      open += 1
      if (tokenId !== undefined) byToken.set(tokenId, own + 1)
      return () => {
        open -= 1
        if (tokenId === undefined) return
        const left = byToken.get(tokenId)! - 1
        if (left > 0) byToken.set(tokenId, left)
        else byToken.delete(tokenId)
      }
    },
  }
}
