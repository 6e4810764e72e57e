import type { AnyResource } from '../api/resources.ts'
import type { Ports } from './ports.ts'

/** A removed device ends its flash, and is remembered, before it goes. */
export const deviceFinalizer = 'reflash.dev/device'
/** A removed operation is cancelled, or ends its flash, before it goes. */
export const operationFinalizer = 'reflash.dev/operation'
/** A removed build or image waits for the operations that need it. */
export const inUseFinalizer = 'reflash.dev/in-use'

export async function ensureFinalizer<R extends AnyResource>(
  object: R,
  finalizer: string,
  ports: Ports,
): Promise<R> {
  const finalizers = object.metadata.finalizers ?? []
  if (finalizers.includes(finalizer)) return object
  return ports.store.setFinalizers(object, [...finalizers, finalizer])
}

export async function dropFinalizer(object: AnyResource, finalizer: string, ports: Ports): Promise<void> {
  const finalizers = object.metadata.finalizers ?? []
  if (!finalizers.includes(finalizer)) return
  await ports.store.setFinalizers(
    object,
    finalizers.filter((other) => other !== finalizer),
  )
}
