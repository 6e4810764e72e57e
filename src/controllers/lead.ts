import { hasCode, messageOf } from '../core/errors.ts'
import type { Controllers } from './controllers.ts'
import type { Ports } from './ports.ts'

const askAgainMs = 1000

/** What the elected one of several controllers does, until its signal is aborted. */
export async function workAsLeader(
  controllers: Controllers,
  ports: Ports,
  leading: AbortSignal,
): Promise<void> {
  await whenAnswered(() => takeOver(ports), ports, leading)
  await controllers.work(leading)
}

/** Whoever takes over has read along; the one before may have written until the very end, and that has to be known. */
async function takeOver({ store, fleet, governor }: Ports): Promise<void> {
  for (const kind of ['UpgradeOperation', 'Device'] as const) {
    const { items, resourceVersion } = await store.list(kind)
    fleet.replace({ kind, objects: items, resourceVersion })
  }
  await governor.reload()
}

/** Asks as often as it takes an API server that does not answer to come back; undefined when the signal is aborted first. */
export async function whenAnswered<T>(
  ask: () => Promise<T>,
  { events, clock }: Pick<Ports, 'events' | 'clock'>,
  signal: AbortSignal,
): Promise<T | undefined> {
  for (let tries = 0; !signal.aborted; tries += 1) {
    try {
      return await ask()
    } catch (error) {
      if (!hasCode(error, 'ServerUnavailable')) throw error
      if (tries === 0) events.emit({ type: 'Warning', reason: 'StoreInterrupted', message: messageOf(error) })
      await clock.sleep(askAgainMs, signal).catch(() => undefined)
    }
  }
  return undefined
}
