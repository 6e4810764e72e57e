import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMetrics } from '../../src/adapters/metrics/registry.ts'
import { metricTable } from '../../src/core/metric-table.ts'
import { parseExposition } from '../support/exposition.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

interface Rule {
  alert: string
  expr: string
  for: string
  labels: { severity: string }
  annotations: { summary: string; description: string; runbook_url: string }
}
const { groups } = parse(read('manifests/monitoring/rules.yaml')) as {
  groups: { name: string; rules: Rule[] }[]
}
const rules = groups.flatMap((group) => group.rules)

interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string }[]
}
const dashboard = JSON.parse(read('manifests/monitoring/reflash-fleet.json')) as {
  uid: string
  schemaVersion: number
  templating: { list: { name: string; type: string; definition?: string }[] }
  panels: Panel[]
}

const table = metricTable as Record<string, { type: string; labels: readonly string[] }>
/** Of every Node.js program. */
const clientNames = [
  ...parseExposition(await createMetrics({ clock: createManualClock(0), version: '1.2.3' }).text()).keys(),
].filter((name) => !(name in table))

/** Metrics that an expression names, each with the labels that it selects by. */
function metricsIn(expression: string): { name: string; labels: string[] }[] {
  return [...expression.matchAll(/\b([a-z]+(?:_[a-z0-9]+)+)\b(?!\s*[=!(])(?:\{([^}]*)\})?/g)]
    .filter(([name]) => !/^(?:up_to_date|histogram_quantile|label_values)$/.test(name))
    .map(([, name, selector = '']) => ({
      name: name!,
      labels: [...selector.matchAll(/(\w+)\s*[=!]/g)].map(([, label]) => label!),
    }))
}

function problemsOf(expression: string): string[] {
  return metricsIn(expression).flatMap(({ name, labels }) => {
    if (clientNames.includes(name)) return []
    const row = table[name] ?? table[name.replace(/_(?:bucket|sum|count)$/, '')]
    if (!row) return [`${name} is no metric`]
    if (name in table === (row.type === 'histogram')) return [`${name} needs _bucket, _sum or _count`]
    const isCounted = row.type === 'counter' && !/\b(?:rate|increase)\(/.test(expression)
    return [
      ...(isCounted ? [`${name} is a counter`] : []),
      ...labels
        .filter((label) => !row.labels.includes(label))
        .map((label) => `${name} has no label ${label}`),
    ]
  })
}

describe('the alerts', () => {
  test('are there', () => {
    expect(rules.length).toBeGreaterThan(8)
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  })

  test.each(rules)('$alert is a whole rule over metrics that there are', (rule) => {
    expect(Object.keys(rule).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      'alert',
      'annotations',
      'expr',
      'for',
      'labels',
    ])
    expect(rule.alert).toMatch(/^Reflash[A-Z][A-Za-z]+$/)
    expect(rule.for).toMatch(/^\d+[mhd]$/)
    expect(rule.labels.severity).toMatch(/^(?:critical|warning|info)$/)
    expect(metricsIn(rule.expr).length).toBeGreaterThan(0)
    expect(problemsOf(rule.expr)).toEqual([])
    const { summary, description, runbook_url: runbook } = rule.annotations
    for (const text of [summary, description]) expect(text).toMatch(/^\S.*\.$/)
    expect(runbook).toBe(`docs/alerts.md#${rule.alert.toLowerCase()}`)
  })

  test('have a chapter each, and each chapter its alert', () => {
    const chapters = [...read('docs/alerts.md').matchAll(/^## (.+)$/gm)].map(([, title]) => title!)
    expect(new Set(chapters)).toEqual(new Set(rules.map(({ alert }) => alert)))
  })
})

describe('the dashboard', () => {
  test('can be imported again and again, into any Grafana of today', () => {
    expect(dashboard.uid).toBe('reflash-fleet')
    expect(dashboard.schemaVersion).toBeLessThanOrEqual(38)
    expect(dashboard.templating.list.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'DS_PROMETHEUS datasource',
      'namespace query',
    ])
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
  })

  test.each(dashboard.panels.filter(({ type }) => type !== 'row'))(
    '$title shows metrics that there are',
    ({ targets, gridPos }) => {
      expect(targets!.length).toBeGreaterThan(0)
      for (const { expr } of targets!) expect([expr, problemsOf(expr)]).toEqual([expr, []])
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
    },
  )

  test('lays no panel over another', () => {
    const overlaps = dashboard.panels.flatMap(({ id, gridPos: a }) =>
      dashboard.panels
        .filter(({ id: other, gridPos: b }) => {
          const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y
          return other > id && !apart
        })
        .map((other) => `${id} ${other.id}`),
    )
    expect(overlaps).toEqual([])
  })
})

test.each([
  ['sum(reflash_device)', 'reflash_device is no metric'],
  ['reflash_devices{phase="x"}', 'reflash_devices has no label phase'],
  ['rate(http_request_duration_seconds[5m])', 'http_request_duration_seconds needs _bucket, _sum or _count'],
  ['reflash_upgrades_total > 0', 'reflash_upgrades_total is a counter'],
])('a mistake is found: %s', (expression, problem) => expect(problemsOf(expression)).toEqual([problem]))
