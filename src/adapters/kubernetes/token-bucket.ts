export interface TokenBucket {
  /** How long until the next one may pass; 0: it may now. */
  waitMs(nowMs: number): number
  /** Lets one pass. */
  take(nowMs: number): void
}

/** Lets `burst` pass at once, and then one every `refillMs`, by the monotonic time that it is told. */
export function createTokenBucket({ burst, refillMs }: { burst: number; refillMs: number }): TokenBucket {
  let fullAtMs = -Infinity
  return {
    waitMs: (nowMs) => Math.max(0, fullAtMs - (burst - 1) * refillMs - nowMs),
    take: (nowMs) => {
      fullAtMs = Math.max(fullAtMs, nowMs) + refillMs
    },
  }
}
