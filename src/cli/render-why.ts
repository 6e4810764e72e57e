import type { DeviceCheck, DeviceStatus } from '../api/status-api.ts'
import type { Paint } from './paint.ts'
import { shown } from './render-text.ts'
import { relativeTime } from './time-words.ts'

export interface Look {
  paint: Paint
  nowMs: number
}

/** Whether an upgrade is wanted and something keeps it from starting. */
export const isBlocked = ({ onTarget, admitted }: DeviceStatus): boolean => !onTarget && !admitted

/** One line about the device, one for each check, and one with the answer. */
export function renderWhy(device: DeviceStatus, look: Look): string {
  const { namespace, name, model, running, target, policy, operation } = device
  const facts = [
    `${shown(namespace)}/${shown(name)}${model === undefined ? '' : ` (${shown(model)})`}`,
    `runs ${shown(running ?? 'what nobody knows yet')}`,
    target === undefined
      ? 'has no target'
      : `target ${shown(target)}${policy === undefined ? '' : ` by policy ${shown(policy)}`}`,
    ...(operation === undefined ? [] : [`operation ${shown(operation)}`]),
  ]
  return [facts.join(', '), ...renderChecks(device.checks, look), answer(device, look)]
    .map((line) => `${line}\n`)
    .join('')
}

/** A line for each check: an icon, its word, what is asked, and for the one that fails why and until when. */
export function renderChecks(checks: readonly DeviceCheck[], look: Look): string[] {
  return checks.map((check) => {
    const title = shown(check.title)
    switch (check.outcome) {
      case 'Passed':
        return `  ${look.paint('green', '✔ passed')}       ${title}`
      case 'Failed':
        return `  ${look.paint('red', '✗ failed')}       ${look.paint('bold', `${title}: ${reasonOf(check, look)}`)}`
      case 'NotReached':
        return look.paint('dim', `  – not reached  ${title}`)
    }
  })
}

function answer(device: DeviceStatus, look: Look): string {
  if (device.onTarget) return `${look.paint('green', '✔')} on its target: there is nothing to do`
  if (device.admitted) return `${look.paint('green', '✔')} nothing blocks it: it is upgraded next`
  const failed = device.checks.find(({ outcome }) => outcome === 'Failed')
  const word = look.paint('red', '✗')
  return failed?.reason === undefined ? `${word} blocked` : `${word} blocked by ${shown(failed.reason)}`
}

function reasonOf({ reason = 'Unknown', message = '', until }: DeviceCheck, { nowMs }: Look): string {
  const when = relativeTime(until, nowMs)
  const passes = when === undefined ? '' : `; passes ${when} (${shown(until!)})`
  return `${shown(reason)}${message === '' ? '' : `: ${shown(message)}`}${passes}`
}
