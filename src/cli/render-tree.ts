import type { PolicyStatus } from '../api/status-api.ts'
import type { Paint } from './paint.ts'
import { shown } from './render-text.ts'

type Model = PolicyStatus['models'][number]

/** The policy, below it its models, and below each the devices that fail. */
export function renderTree(policy: PolicyStatus, paint: Paint): string {
  const lines = [headOf(policy, paint)]
  if (policy.message !== undefined && policy.message !== '') lines.push(`│  ${shown(policy.message)}`)
  for (const [at, model] of policy.models.entries()) {
    const isLast = at === policy.models.length - 1
    lines.push(`${isLast ? '└─' : '├─'} ${modelLine(model, paint)}`)
    const trunk = isLast ? '   ' : '│  '
    const leaves = leavesOf(model, paint)
    for (const [index, leaf] of leaves.entries()) {
      lines.push(`${trunk}${index === leaves.length - 1 ? '└─' : '├─'} ${leaf}`)
    }
  }
  if (policy.models.length === 0) lines.push('└─ no devices')
  return lines.map((line) => `${line}\n`).join('')
}

function headOf({ namespace, name, target, state, phase, counts }: PolicyStatus, paint: Paint): string {
  const stand = phase === undefined || phase === state ? state : `${state}, ${phase}`
  const title = paint('bold', `policy ${shown(namespace)}/${shown(name)}`)
  return `${title} → ${shown(target)}   ${shown(stand)}   ${counts.onTarget ?? 0} of ${counts.matched ?? 0} on target`
}

function modelLine({ model, matched, onTarget, inFlight, failed }: Model, paint: Paint): string {
  const icon =
    failed > 0 ? paint('red', '✗') : onTarget === matched ? paint('green', '✔') : paint('yellow', '…')
  const rest = [
    ...(inFlight > 0 ? [`${inFlight} in flight`] : []),
    ...(failed > 0 ? [paint('red', `${failed} failing`)] : []),
  ]
  return `${icon} ${[`${shown(model)}   ${onTarget} of ${matched} on target`, ...rest].join(', ')}`
}

const leavesOf = ({ failing, more }: Model, paint: Paint): string[] => [
  ...failing.map(({ device, reason, message }) => {
    const why = `${shown(reason)}${message === '' ? '' : `: ${shown(message)}`}`
    return `${paint('red', '✗')} ${shown(device)}   ${why}`
  }),
  ...(more > 0 ? [`… ${more} more`] : []),
]
