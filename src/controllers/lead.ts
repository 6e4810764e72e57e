import { hasCode, messageOf, ReflashError } from '../core/errors.ts'
import type { Elector } from '../ports/elector.ts'
import type { ResourceStore } from '../ports/resource-store.ts'
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

/**
 * The store of one of several controllers, that writes while it leads by its own clock, at the moment of a write and still
 * when that is accepted: nothing is begun on a device after a lease that may have run out meanwhile, and what was written
 * is looked at by the next leader. @throws ReflashError `NotLeader` from every write otherwise.
 */
export function writesOfLeader(store: ResourceStore, elector: Pick<Elector, 'standing'>): ResourceStore {
  const requireLead = (): void => {
    if (!elector.standing().isLeader)
      throw new ReflashError('NotLeader', 'this controller does not lead any more')
  }
  const whileLeading = async <T>(write: () => Promise<T>): Promise<T> => {
    requireLead()
    const written = await write()
    requireLead()
    return written
  }
  return {
    ...store,
    create: (manifest) => whileLeading(() => store.create(manifest)),
    setFinalizers: (object, finalizers) => whileLeading(() => store.setFinalizers(object, finalizers)),
    saveStatus: (object) => whileLeading(() => store.saveStatus(object)),
    delete: (kind, key, options) => whileLeading(() => store.delete(kind, key, options)),
  }
}

/** Whoever takes over has read along; the one before may have written until the very end, and that has to be known. */
async function takeOver({ store, fleet, governor }: Ports): Promise<void> {
  for (const kind of ['UpgradeOperation', 'Device'] as const) {
    const { items, resourceVersion } = await store.list(kind)
    fleet.replace({ kind, objects: items, resourceVersion })
  }
  await governor.reload()
}

/**
 * Asks as often as it takes an API server that does not answer, or loses a list between two pages of it; undefined when
 * the signal is aborted first.
 */
export async function whenAnswered<T>(
  ask: () => Promise<T>,
  { events, clock }: Pick<Ports, 'events' | 'clock'>,
  signal: AbortSignal,
): Promise<T | undefined> {
  for (let tries = 0; !signal.aborted; tries += 1) {
    try {
      return await ask()
    } catch (error) {
      if (!hasCode(error, 'ServerUnavailable', 'Expired')) throw error
      if (tries === 0) events.emit({ type: 'Warning', reason: 'StoreInterrupted', message: messageOf(error) })
      await clock.sleep(askAgainMs, signal).catch(() => undefined)
    }
  }
  return undefined
}
