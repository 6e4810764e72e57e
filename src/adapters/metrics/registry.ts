import { version as nodeVersion } from 'node:process'
import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'
import { metricTable, type MetricName } from '../../core/metric-table.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Metrics, ReadSamples } from '../../ports/metrics.ts'
import { processMetrics } from './process-metrics.ts'

/** What is asked for more often gets the same answer again: a scrape goes through the whole fleet. */
const maxAgeMs = 1000
/** Label sets of one counter or histogram; what comes after these is counted together, as `other`. */
const maxLabelSets = 5000
const maxLabelLength = 128

export interface MetricsRegistry extends Metrics {
  readonly contentType: string
  /** The exposition in the text format of Prometheus. Rejects with what a reader of gauges throws. */
  text(): Promise<string>
}

export interface RegistryOptions {
  clock: Clock
  /** Of the program, for reflash_build_info. */
  version: string
  /** Whether process_* and nodejs_* are shown as well. Default: true. */
  process?: boolean
}

/** Opens a registry with every metric of the table, all of them empty. */
export function createMetrics({ clock, version, process = true }: RegistryOptions): MetricsRegistry {
  const registry = new Registry()
  const counters = new Map<MetricName, Counter<string>>()
  const histograms = new Map<MetricName, Histogram<string>>()
  const gauges = new Map<MetricName, Gauge<string>>()
  for (const [key, { type, help, labels, ...rest }] of Object.entries(metricTable)) {
    const name = key as MetricName
    const options = { name, help, labelNames: [...labels], registers: [registry] }
    if (type === 'counter') counters.set(name, new Counter(options))
    else if (type === 'gauge') gauges.set(name, new Gauge(options))
    else
      histograms.set(name, new Histogram({ ...options, buckets: 'buckets' in rest ? [...rest.buckets] : [] }))
  }
  const limits = new Map<MetricName, (labels: Values) => Values>()
  const limited = (name: MetricName, labels: Values): Values => {
    let limit = limits.get(name)
    if (!limit) limits.set(name, (limit = createLimit()))
    return limit(labels)
  }

  const readers = new Set<ReadSamples>()
  async function readGauges(): Promise<void> {
    const samples = await Promise.all([...readers].map(async (read) => read()))
    for (const gauge of gauges.values()) {
      gauge.reset()
      // A gauge without labels would show 0 where nobody knows its value.
      gauge.remove({})
    }
    gauges.get('reflash_build_info')!.set({ version, node: nodeVersion }, 1)
    for (const { name, labels, value } of samples.flat()) gauges.get(name)!.set(clean(labels), value)
  }

  async function scrape(): Promise<string> {
    await readGauges()
    const own = await registry.metrics()
    return process ? `${own}\n${await processMetrics().metrics()}` : own
  }

  let latest: { at: number; text: Promise<string> } | undefined
  return {
    contentType: registry.contentType,
    add: (name, labels) => counters.get(name)!.inc(limited(name, labels)),
    observe: (name, labels, value) => histograms.get(name)!.observe(limited(name, labels), value),
    declare(name, labels) {
      const counter = counters.get(name)
      if (counter) counter.inc(limited(name, labels), 0)
      else histograms.get(name)!.zero(limited(name, labels))
    },
    onScrape(read) {
      readers.add(read)
      return () => readers.delete(read)
    },
    async text() {
      const now = clock.monotonic()
      if (!latest || now - latest.at >= maxAgeMs) latest = { at: now, text: scrape() }
      return latest.text
    },
  }
}

type Values = Readonly<Record<string, string>>

/** The client keeps label sets by their values with a bar between: a bar in a value would make two of them one. */
const clean = (labels: Values): Record<string, string> =>
  Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [
      name,
      value.slice(0, maxLabelLength).replaceAll('|', '/'),
    ]),
  )

function createLimit(): (labels: Values) => Record<string, string> {
  const known = new Set<string>()
  return (labels) => {
    const cleaned = clean(labels)
    const key = Object.values(cleaned).join('|')
    if (known.has(key)) return cleaned
    if (known.size >= maxLabelSets)
      return Object.fromEntries(Object.keys(labels).map((name) => [name, 'other']))
    known.add(key)
    return cleaned
  }
}
