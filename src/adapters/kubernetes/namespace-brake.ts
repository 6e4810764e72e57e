import { messageOf } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { Brake } from '../../ports/brake.ts'
import type { Clock } from '../../ports/clock.ts'
import { failureOf } from './api-failure.ts'
import type { Transport } from './transport.ts'

/** On the controller's namespace: stops all starts for as long as it is there. Its value is the reason. */
export const haltAnnotation = 'reflash.dev/halt'

/** A stop has to be in force within a second. */
const rememberMs = 500
/** Nobody waits longer to be told that a start is not allowed. */
const limitMs = 5000

/** The emergency stop in a cluster. Whoever cannot ask whether starts are stopped starts nothing. */
export function createNamespaceBrake(transport: Transport, namespace: string, clock: Clock): Brake {
  let known: { at: number; answer: Promise<string | undefined> } | undefined

  const ask = async (): Promise<string | undefined> => {
    try {
      const path = `/api/v1/namespaces/${namespace}`
      const answer = await transport.request({ method: 'GET', path, limitMs })
      const failure = failureOf(answer, `namespace ${namespace}`)
      if (failure) throw failure
      const { metadata } = answer.body as { metadata: { annotations?: Record<string, string> } }
      const why = metadata.annotations?.[haltAnnotation]
      if (why === undefined) return undefined
      const reason = why === '' ? '' : ` (${printable(why, 200)})`
      return `namespace ${namespace} has the annotation ${haltAnnotation}${reason}; remove it to allow starts again`
    } catch (error) {
      return `it cannot be asked whether starts are stopped: ${messageOf(error)}`
    }
  }

  return {
    async halted() {
      if (!known || clock.monotonic() - known.at >= rememberMs)
        known = { at: clock.monotonic(), answer: ask() }
      return known.answer
    },
  }
}
