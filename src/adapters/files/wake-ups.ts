import { realpath } from 'node:fs/promises'
import type { Clock } from '../../ports/clock.ts'
import { type TreeWatch, watchTree } from './watch-tree.ts'

/** Events come in bursts; the looks that follow are half a second apart anyway. */
const debounceMs = 50
/** How often the path itself is looked at: a link that is turned to another tree tells no watcher of the old one. */
const rootPollMs = 1000
/** The longest that a change can stay unseen when its event was missed. */
const scanPollMs = 30_000
/** The same while events are known to be missed. */
const blindPollMs = 1000

/** Says when a directory should be looked at again. */
export interface WakeUps {
  /** Watches what the directory is now; call it before looking. */
  follow(): Promise<void>
  /** Resolves when there may be something new; rejects with the signal's reason. */
  next(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export function createWakeUps(directory: string, clock: Clock): WakeUps {
  let root: string | undefined
  let tree: TreeWatch | undefined
  let isBlind = false
  let isRung = false
  let ring = (): void => {}

  const resolveRoot = (): Promise<string | undefined> => realpath(directory).catch(() => undefined)
  const onChange = (): void => {
    isRung = true
    ring()
  }

  async function follow(): Promise<void> {
    isRung = false
    const now = await resolveRoot()
    if (now === root) return
    await tree?.close()
    root = now
    isBlind = false
    const onFailure = (): void => {
      isBlind = true
      onChange()
    }
    tree = now === undefined ? undefined : watchTree(now, { onChange, onFailure })
  }

  async function next(signal: AbortSignal): Promise<void> {
    const endsMs = clock.monotonic() + (isBlind ? blindPollMs : scanPollMs)
    while (!isRung && clock.monotonic() < endsMs) {
      const rung = new Promise<void>((resolve) => (ring = resolve))
      await Promise.race([rung, clock.sleep(rootPollMs, signal)])
      if ((await resolveRoot()) !== root) break
    }
    await clock.sleep(debounceMs, signal)
  }

  return { follow, next, close: async () => tree?.close() }
}
