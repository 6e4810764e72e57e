import type { FailureClass } from '../../api/resources.ts'
import { errorTable } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { StartResult } from '../../core/probe.ts'
import { classify } from './messages.ts'

interface Refusal {
  failureClass: FailureClass
  recoverable: boolean
  message: string
}

/** What the guard's refusals mean. Nothing was started in any of them. */
const refusals: Record<number, Refusal> = {
  90: {
    failureClass: 'NotStarted',
    recoverable: true,
    message: 'the device has rebooted since it was looked at',
  },
  91: {
    failureClass: 'IdentityChanged',
    recoverable: false,
    message: 'the device shows another board than before',
  },
  92: {
    failureClass: 'NotStarted',
    recoverable: true,
    message: 'the device runs another release than when it was looked at',
  },
  93: { failureClass: 'NotStarted', recoverable: true, message: 'the start arrived too late' },
  94: {
    failureClass: 'NotStarted',
    recoverable: true,
    message: 'another start holds the lock on the device',
  },
  95: {
    failureClass: 'UploadFailed',
    recoverable: true,
    message: 'the image on the device is not the one that was uploaded',
  },
  96: { failureClass: 'NotStarted', recoverable: true, message: 'an upgrade runs on the device already' },
  98: { failureClass: 'NotStarted', recoverable: true, message: 'sysupgrade could not be started' },
}

/** Reads the guard's answer. Without one nobody knows: it may have started. */
export function parseGuard(output: string): StartResult {
  const lines = output
    .split('\n')
    .map((line) => printable(line.trim(), 1024))
    .filter((line) => line !== '')
  const code = /^GUARD (0|[1-9]\d{0,2})$/.exec(lines.at(-1) ?? '')?.[1]
  if (code === undefined) return { kind: 'Unknown', message: 'the device did not say whether it started' }
  if (code === '0') return { kind: 'Started' }
  const log = lines.slice(0, -1).slice(-40)
  if (code === '97') {
    const { code: reason, line } = classify(log)
    const { recoverable, failureClass } = errorTable[reason]
    return {
      kind: 'Refused',
      failureClass,
      recoverable,
      message: `sysupgrade refuses the image: ${line}`,
      log,
    }
  }
  const refusal = refusals[Number(code)]
  if (refusal) return { kind: 'Refused', ...refusal, log }
  return { kind: 'Unknown', message: `the device answered with the unknown code ${code}` }
}
