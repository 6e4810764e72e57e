import { ReflashError, type ErrorCode } from '../../core/errors.ts'
import type { Connector, Session } from '../../ports/connector.ts'
import type { Metrics } from '../../ports/metrics.ts'

/** What `Connector.connect` may throw. */
const connectErrors = [
  'Unreachable',
  'Timeout',
  'ConnectionLost',
  'AuthFailed',
  'CredentialsInvalid',
  'HostKeyChanged',
  'HostKeyUnknown',
  'AlgorithmMismatch',
] as const satisfies readonly ErrorCode[]

/** The same connector, with its sessions and failures counted. An attempt that was given up is neither. */
export function countConnects(connector: Connector, metrics: Metrics): Connector {
  let open = 0
  for (const code of connectErrors) metrics.declare('reflash_ssh_connect_errors_total', { class: code })
  metrics.onScrape(() => [{ name: 'reflash_ssh_sessions', labels: {}, value: open }])
  return {
    async connect(target, deadlineMs, signal) {
      let session: Session
      try {
        session = await connector.connect(target, deadlineMs, signal)
      } catch (error) {
        if (error instanceof ReflashError)
          metrics.add('reflash_ssh_connect_errors_total', { class: error.code })
        throw error
      }
      metrics.add('reflash_ssh_connects_total', {})
      open += 1
      return counted(session, () => (open -= 1))
    },
    knock: (target, limitMs, signal) => connector.knock(target, limitMs, signal),
  }
}

/** The same session, which says once when it is closed. */
function counted(session: Session, onClosed: () => void): Session {
  let isOpen = true
  return {
    address: session.address,
    hostKeys: session.hostKeys,
    exec: (command, options, signal) => session.exec(command, options, signal),
    upload: (command, content, options, signal) => session.upload(command, content, options, signal),
    async close() {
      if (isOpen) onClosed()
      isOpen = false
      await session.close()
    },
  }
}
