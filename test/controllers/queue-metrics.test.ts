import { expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createMetrics } from '../../src/adapters/metrics/registry.ts'
import { observeQueue } from '../../src/controllers/queue-metrics.ts'
import { createWorkQueue } from '../../src/controllers/work-queue.ts'
import { ReflashError } from '../../src/core/errors.ts'
import { parseExposition, valueOf } from '../support/exposition.ts'

test('a queue is counted under the names of controller-runtime', async () => {
  const clock = createManualClock(0)
  const metrics = createMetrics({ clock, version: '1.2.3', process: false })
  const turns: Record<string, () => Promise<{ after?: number }>> = {
    done: async () => ({}),
    again: async () => ({ after: turned++ === 0 ? 0 : 3_600_000 }),
    later: async () => ({ after: 3_600_000 }),
    fails: async () => Promise.reject(new ReflashError('Unreachable', 'x')),
    stuck: async () => Promise.reject(new ReflashError('AuthFailed', 'x')),
    bug: async () => Promise.reject(new TypeError('x')),
    long: async () => {
      await clock.sleep(60_000)
      return {}
    },
  }
  let turned = 0
  const queue = createWorkQueue({
    name: 'test',
    concurrency: 1,
    clock,
    random: () => 0.5,
    process: (key) => turns[key]!(),
    onError: () => {},
    observer: observeQueue({ name: 'test', concurrency: 1 }, metrics, clock),
  })
  const read = async () => parseExposition(await metrics.text())
  const quiet = await read()
  for (const result of ['success', 'requeue', 'requeue_after', 'error'])
    expect(valueOf(quiet, 'controller_runtime_reconcile_total', { controller: 'test', result })).toBe(0)
  expect(valueOf(quiet, 'workqueue_depth', { name: 'test' })).toBe(0)

  queue.add('long')
  await clock.advance(1)
  for (const key of ['done', 'again', 'later', 'fails', 'stuck', 'bug']) queue.add(key)
  await clock.advance(29_999)
  const busy = await read()
  expect(valueOf(busy, 'workqueue_depth')).toBe(6)
  expect(valueOf(busy, 'controller_runtime_active_workers')).toBe(1)
  expect(valueOf(busy, 'controller_runtime_max_concurrent_reconciles')).toBe(1)
  expect(valueOf(busy, 'workqueue_unfinished_work_seconds')).toBe(30)
  expect(valueOf(busy, 'workqueue_longest_running_processor_seconds')).toBe(30)

  await clock.advance(31_000)
  const done = await read()
  const total = (result: string): number | undefined =>
    valueOf(done, 'controller_runtime_reconcile_total', { result })
  expect([total('success'), total('requeue'), total('requeue_after'), total('error')]).toEqual([2, 1, 2, 3])
  expect(valueOf(done, 'controller_runtime_reconcile_errors_total')).toBe(3)
  expect(valueOf(done, 'controller_runtime_terminal_reconcile_errors_total')).toBe(1)
  expect(valueOf(done, 'controller_runtime_reconcile_panics_total')).toBe(1)
  expect(valueOf(done, 'workqueue_retries_total')).toBe(1)
  expect(valueOf(done, 'workqueue_adds_total')).toBe(8)
  expect(valueOf(done, 'workqueue_depth')).toBe(0)
  expect(valueOf(done, 'workqueue_queue_duration_seconds_count')).toBe(8)
  // Six waited for the long one.
  expect(valueOf(done, 'workqueue_queue_duration_seconds_bucket', { le: '15' })).toBe(2)
  expect(valueOf(done, 'workqueue_work_duration_seconds_sum')).toBe(60)
  await queue.stop({ drainMs: 0 })
})

test('a turn that a stop cut short is no error', async () => {
  const clock = createManualClock(0)
  const metrics = createMetrics({ clock, version: '1.2.3', process: false })
  const queue = createWorkQueue({
    name: 'test',
    concurrency: 1,
    clock,
    random: () => 0.5,
    process: async (_key, signal) => {
      await clock.sleep(1e9, signal)
      return {}
    },
    onError: () => {},
    observer: observeQueue({ name: 'test', concurrency: 1 }, metrics, clock),
  })
  queue.add('key')
  await clock.advance(1)
  const stopped = queue.stop({ drainMs: 10 })
  await clock.advance(10)
  await stopped
  const families = parseExposition(await metrics.text())
  expect(valueOf(families, 'controller_runtime_reconcile_total')).toBe(0)
  expect(valueOf(families, 'controller_runtime_active_workers')).toBe(0)
})
