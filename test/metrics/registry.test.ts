import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { countConnects } from '../../src/adapters/metrics/counted-connector.ts'
import { createMetrics } from '../../src/adapters/metrics/registry.ts'
import { ReflashError } from '../../src/core/errors.ts'
import { metricTable } from '../../src/core/metric-table.ts'
import type { Connector, Session, Target } from '../../src/ports/connector.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'

const open = () => {
  const clock = createManualClock(0)
  const metrics = createMetrics({ clock, version: '1.2.3', process: false })
  const read = async () => {
    await clock.advance(1000)
    return parseExposition(await metrics.text())
  }
  return { clock, metrics, read }
}

describe('the table', () => {
  const rows = Object.entries(metricTable)

  test.each(rows)('%s has a name that says its unit, and a help', (name, { type, help, labels }) => {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    if (type === 'histogram') expect(name).toMatch(/_seconds$/)
    expect(help).toMatch(/\.$/)
    expect(new Set(labels).size).toBe(labels.length)
    for (const label of labels) expect(label).toMatch(/^[a-z_]+$/)
  })

  test('names no device in anything that is kept: only gauges that are asked for', () => {
    const perDevice = rows.filter(([name]) => name.startsWith('reflash_device_')).map(([, { type }]) => type)
    expect(new Set(perDevice)).toEqual(new Set(['gauge']))
    for (const [, { type, labels }] of rows) {
      if (type !== 'gauge') expect(labels).not.toContain('device')
    }
  })

  test('has ascending buckets', () => {
    for (const [, row] of rows) {
      if ('buckets' in row) expect([...row.buckets]).toEqual([...row.buckets].toSorted((a, b) => a - b))
    }
  })
})

describe('the registry', () => {
  test('shows every metric of the table, and what was declared with nothing in it', async () => {
    const { metrics, read } = open()
    metrics.declare('reflash_ssh_connect_errors_total', { class: 'Timeout' })
    metrics.declare('http_request_duration_seconds', { method: 'GET', route: '/x', status: '200' })
    const families = await read()
    expect([...families.keys()].toSorted()).toEqual(Object.keys(metricTable).toSorted())
    expect(valueOf(families, 'reflash_ssh_connect_errors_total', { class: 'Timeout' })).toBe(0)
    expect(valueOf(families, 'http_request_duration_seconds_count', { route: '/x' })).toBe(0)
  })

  test('counts, and puts durations into buckets', async () => {
    const { metrics, read } = open()
    const labels = { method: 'GET', route: '/apis', status: '200' }
    metrics.observe('http_request_duration_seconds', labels, 0.003)
    metrics.observe('http_request_duration_seconds', labels, 99)
    const families = await read()
    expect(valueOf(families, 'http_request_duration_seconds_bucket', { le: '0.001' })).toBe(0)
    expect(valueOf(families, 'http_request_duration_seconds_bucket', { le: '0.005' })).toBe(1)
    expect(valueOf(families, 'http_request_duration_seconds_bucket', { le: '+Inf' })).toBe(2)
    expect(valueOf(families, 'http_request_duration_seconds_sum')).toBeCloseTo(99.003)
  })

  test('forgets a gauge that nobody reports any more', async () => {
    const { metrics, read } = open()
    let kinds = ['Device', 'Build']
    const end = metrics.onScrape(() =>
      kinds.map((kind) => ({ name: 'reflash_objects', labels: { kind }, value: 1 })),
    )
    expect(valueOf(await read(), 'reflash_objects')).toBe(2)
    kinds = ['Device']
    expect(valueOf(await read(), 'reflash_objects')).toBe(1)
    end()
    expect(valueOf(await read(), 'reflash_objects')).toBeUndefined()
  })

  test('shows no value of a gauge without labels that nobody knows', async () => {
    const { read } = open()
    expect(valueOf(await read(), 'reflash_source_last_success_timestamp_seconds')).toBeUndefined()
  })

  test('reads the gauges at most once a second, however many ask', async () => {
    const { clock, metrics } = open()
    let reads = 0
    metrics.onScrape(async () => {
      reads += 1
      return [{ name: 'reflash_ssh_sessions', labels: {}, value: reads }]
    })
    const texts = await Promise.all([metrics.text(), metrics.text()])
    expect(texts[0]).toBe(texts[1])
    await clock.advance(999)
    await metrics.text()
    expect(reads).toBe(1)
    await clock.advance(1)
    await metrics.text()
    expect(reads).toBe(2)
  })

  test('says so when a gauge cannot be read, and recovers', async () => {
    const { clock, metrics } = open()
    let broken = true
    metrics.onScrape(() => {
      if (broken) throw new ReflashError('StateUnusable', 'no disk')
      return []
    })
    await expect(metrics.text()).rejects.toThrow('no disk')
    broken = false
    await clock.advance(1000)
    parseExposition(await metrics.text())
  })

  test.each(['a"b', 'a\\b', 'a\nb', 'a"} 1\nevil 2', '日本', ''])('escapes %j', async (route) => {
    const { metrics, read } = open()
    metrics.observe('http_request_duration_seconds', { method: 'GET', route, status: '200' }, 1)
    const { series } = (await read()).get('http_request_duration_seconds')!
    expect(new Set(series.map(({ labels }) => labels['route']))).toEqual(new Set([route]))
  })

  test('keeps apart what only a bar would tell from each other, and bounds what is long', async () => {
    const { metrics, read } = open()
    const place = { namespace: 'n', category: 'c' }
    metrics.onScrape(() => [
      { name: 'reflash_device_versions', labels: { ...place, model: 'a|', version: 'b' }, value: 1 },
      { name: 'reflash_device_versions', labels: { ...place, model: 'a', version: '|b' }, value: 2 },
      {
        name: 'reflash_device_versions',
        labels: { ...place, model: 'x'.repeat(9999), version: '' },
        value: 4,
      },
    ])
    const families = await read()
    expect(valueOf(families, 'reflash_device_versions')).toBe(7)
    expect(valueOf(families, 'reflash_device_versions', { model: 'x'.repeat(128) })).toBe(4)
  })

  test('counts label sets beyond its limit together', async () => {
    const { metrics, read } = open()
    for (let index = 0; index < 6000; index += 1)
      metrics.add('reflash_ssh_connect_errors_total', { class: `c${index}` })
    metrics.add('reflash_ssh_connect_errors_total', { class: 'c0' })
    const families = await read()
    expect(families.get('reflash_ssh_connect_errors_total')!.series).toHaveLength(5001)
    expect(valueOf(families, 'reflash_ssh_connect_errors_total', { class: 'other' })).toBe(1000)
    expect(valueOf(families, 'reflash_ssh_connect_errors_total', { class: 'c0' })).toBe(2)
  })

  test('shows the process once, beside what is ours', async () => {
    const clock = createManualClock(0)
    const both = [createMetrics({ clock, version: '1.2.3' }), createMetrics({ clock, version: '1.2.3' })]
    for (const metrics of both) {
      const families = parseExposition(await metrics.text())
      expect(valueOf(families, 'process_cpu_seconds_total')).toBeGreaterThan(0)
      expect(valueOf(families, 'nodejs_heap_size_used_bytes')).toBeGreaterThan(0)
      expect(families.has('reflash_devices')).toBe(true)
    }
  })
})

describe('connects', () => {
  const target: Target = {
    addresses: ['192.0.2.1'],
    port: 22,
    credentials: { username: 'root', password: 'hunter2' },
    hostKeys: [],
    acceptNewHostKeys: true,
    urgent: false,
    legacyAlgorithms: false,
  }
  const never = new AbortController().signal

  test('are counted: what is open, what was, and what failed', async () => {
    const { metrics, read } = open()
    let failure: Error | undefined
    let closed = 0
    const inner: Connector = {
      async connect() {
        if (failure !== undefined) throw failure
        return {
          address: '192.0.2.1',
          hostKeys: ['k'],
          close: async () => void (closed += 1),
        } as unknown as Session
      },
      knock: async () => true,
    }
    const connector = countConnects(inner, metrics)
    const sessions = [await connector.connect(target, 1, never), await connector.connect(target, 1, never)]
    expect(valueOf(await read(), 'reflash_ssh_sessions')).toBe(2)
    await sessions[0]!.close()
    await sessions[0]!.close()
    failure = new ReflashError('AuthFailed', '192.0.2.1 refuses hunter2')
    await expect(connector.connect(target, 1, never)).rejects.toBe(failure)
    failure = new DOMException('stopped', 'AbortError')
    await expect(connector.connect(target, 1, never)).rejects.toBe(failure)

    const families = await read()
    expect(closed).toBe(2)
    expect(valueOf(families, 'reflash_ssh_sessions')).toBe(1)
    expect(valueOf(families, 'reflash_ssh_connects_total')).toBe(2)
    expect(valueOf(families, 'reflash_ssh_connect_errors_total', { class: 'AuthFailed' })).toBe(1)
    expect(valueOf(families, 'reflash_ssh_connect_errors_total')).toBe(1)
    const text = await metrics.text()
    expect(text).not.toMatch(/192\.0\.2|hunter2/)
  })
})
