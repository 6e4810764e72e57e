import { apiVersion } from '../api/schema.ts'
import type { Plan, PlannedDevice } from '../controllers/plan.ts'
import { markdownTable, markdownText } from './markdown.ts'
import { table } from './table.ts'

export type PlanFormat = 'table' | 'json' | 'markdown'

/** A page of a pull request or of a CI step has to end somewhere. */
const maxRows = 200

/** `problems` are the refused files: what they declare is missing from the plan. */
export function renderPlan(plan: Plan, problems: readonly string[], format: PlanFormat): string {
  if (format === 'table') return asTable(plan)
  if (format === 'markdown') return asMarkdown(plan, problems)
  const { summary, devices } = plan
  return `${JSON.stringify({ apiVersion, kind: 'Plan', summary, problems, devices }, null, 2)}\n`
}

function asTable(plan: Plan): string {
  const rows = plan.devices.map((device) => [
    nameOf(device),
    device.runs ?? '<unknown>',
    device.target ?? '<none>',
    device.action,
    device.reason,
    device.message,
  ])
  return `${table(['DEVICE', 'RUNS', 'TARGET', 'ACTION', 'REASON', 'MESSAGE'], rows)}\n${sentence(plan)}\n`
}

function asMarkdown(plan: Plan, problems: readonly string[]): string {
  const upgrades = plan.devices.filter(({ action }) => action === 'Upgrade')
  return [
    `**${sentence(plan)}**\n`,
    section('Refused, and missing from this plan', ['problem'], problemRows(problems)),
    section('Why', ['action', 'reason', 'devices'], reasonRows(plan)),
    section('To upgrade', ['device', 'runs', 'target', 'when'], upgrades.map(upgradeRow)),
  ]
    .filter((part) => part !== '')
    .join('\n')
}

function section(title: string, header: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const more = rows.length - maxRows
  const end = more > 0 ? `\n… ${more} more\n` : ''
  return `### ${title}\n\n${markdownTable(header, rows.slice(0, maxRows))}${end}`
}

const problemRows = (problems: readonly string[]): string[][] =>
  problems.map((problem) => [markdownText(problem)])

/** How many devices share an action and a reason, the most first. */
function reasonRows({ devices }: Plan): string[][] {
  const counts = new Map<string, number>()
  for (const { action, reason } of devices) {
    const row = `${action}/${reason}`
    counts.set(row, (counts.get(row) ?? 0) + 1)
  }
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([row, count]) => [...row.split('/'), String(count)])
}

const upgradeRow = (device: PlannedDevice): string[] =>
  [nameOf(device), device.runs ?? 'unknown', device.target ?? 'none', device.message].map(markdownText)

const nameOf = ({ namespace, name }: PlannedDevice): string => `${namespace}/${name}`

function sentence({ summary }: Plan): string {
  const { devices, upgrade, wait, blocked, none } = summary
  return `${devices} ${devices === 1 ? 'device' : 'devices'}: ${upgrade} to upgrade, ${wait} waiting, ${blocked} blocked, ${none} with nothing to do`
}
