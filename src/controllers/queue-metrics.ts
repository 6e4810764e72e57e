import type { Clock } from '../ports/clock.ts'
import type { Metrics } from '../ports/metrics.ts'
import type { QueueObserver, TurnResult } from './work-queue.ts'

/** How controller-runtime calls what a turn ended with; a turn that was stopped has no result. */
const results = {
  Done: 'success',
  Again: 'requeue',
  Later: 'requeue_after',
  Retry: 'error',
  Stuck: 'error',
  Bug: 'error',
  Stopped: undefined,
} as const satisfies Record<TurnResult, string | undefined>

/** Counts what one work queue does, under the names of controller-runtime. */
export function observeQueue(
  { name: controller, concurrency }: { name: string; concurrency: number },
  metrics: Metrics,
  clock: Clock,
): QueueObserver {
  const queue = { name: controller, controller }
  const own = { controller }
  let due = 0
  /** Turns under way, by when they began, in monotonic ms. */
  const begun = new Set<{ at: number }>()

  metrics.declare('workqueue_adds_total', queue)
  metrics.declare('workqueue_retries_total', queue)
  metrics.declare('workqueue_queue_duration_seconds', queue)
  metrics.declare('workqueue_work_duration_seconds', queue)
  metrics.declare('controller_runtime_reconcile_time_seconds', own)
  metrics.declare('controller_runtime_reconcile_errors_total', own)
  metrics.declare('controller_runtime_terminal_reconcile_errors_total', own)
  metrics.declare('controller_runtime_reconcile_panics_total', own)
  for (const result of new Set(Object.values(results))) {
    if (result) metrics.declare('controller_runtime_reconcile_total', { controller, result })
  }
  metrics.onScrape(() => {
    const now = clock.monotonic()
    const seconds = [...begun].map(({ at }) => (now - at) / 1000)
    const sum = seconds.reduce((total, value) => total + value, 0)
    return [
      { name: 'workqueue_depth', labels: queue, value: due },
      { name: 'workqueue_unfinished_work_seconds', labels: queue, value: sum },
      {
        name: 'workqueue_longest_running_processor_seconds',
        labels: queue,
        value: Math.max(0, ...seconds),
      },
      { name: 'controller_runtime_active_workers', labels: own, value: begun.size },
      { name: 'controller_runtime_max_concurrent_reconciles', labels: own, value: concurrency },
    ]
  })

  function countResult(result: TurnResult): void {
    const shown = results[result]
    if (!shown) return
    metrics.add('controller_runtime_reconcile_total', { controller, result: shown })
    if (shown !== 'error') return
    metrics.add('controller_runtime_reconcile_errors_total', own)
    if (result === 'Retry') metrics.add('workqueue_retries_total', queue)
    if (result === 'Stuck') metrics.add('controller_runtime_terminal_reconcile_errors_total', own)
    if (result === 'Bug') metrics.add('controller_runtime_reconcile_panics_total', own)
  }

  return {
    due() {
      due += 1
      metrics.add('workqueue_adds_total', queue)
    },
    begin(waitedMs) {
      due -= 1
      metrics.observe('workqueue_queue_duration_seconds', queue, waitedMs / 1000)
      const turn = { at: clock.monotonic() }
      begun.add(turn)
      return (result) => {
        begun.delete(turn)
        const seconds = (clock.monotonic() - turn.at) / 1000
        metrics.observe('workqueue_work_duration_seconds', queue, seconds)
        metrics.observe('controller_runtime_reconcile_time_seconds', own, seconds)
        countResult(result)
      }
    },
  }
}
