interface Definition {
  type: 'counter' | 'gauge' | 'histogram'
  help: string
  labels: readonly string[]
  /** Upper bounds of a histogram, ascending. */
  buckets?: readonly number[]
}

/** From a knock on loopback to the longest turn that an operation may take. */
const turnBuckets = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1200] as const
/** A step of an upgrade: seconds for a check, minutes for an upload or a reboot, an hour for a queue. */
const stepBuckets = [1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600] as const
const requestBuckets = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

/**
 * Every metric of our own, by name. The registry, the docs, the alerts and the dashboard read this table. Names of the
 * loop are those of controller-runtime, so that dashboards made for it work here.
 */
export const metricTable = {
  workqueue_depth: {
    type: 'gauge',
    help: 'Keys that wait for a worker now.',
    labels: ['name', 'controller'],
  },
  workqueue_adds_total: {
    type: 'counter',
    help: 'Keys that came up for work, for the first time or again.',
    labels: ['name', 'controller'],
  },
  workqueue_queue_duration_seconds: {
    type: 'histogram',
    help: 'How long a key that was due waited for a worker.',
    labels: ['name', 'controller'],
    buckets: turnBuckets,
  },
  workqueue_work_duration_seconds: {
    type: 'histogram',
    help: 'How long one turn of work on a key took.',
    labels: ['name', 'controller'],
    buckets: turnBuckets,
  },
  workqueue_unfinished_work_seconds: {
    type: 'gauge',
    help: 'Seconds that the turns under way have taken so far, all together.',
    labels: ['name', 'controller'],
  },
  workqueue_longest_running_processor_seconds: {
    type: 'gauge',
    help: 'Seconds that the longest turn under way has taken so far.',
    labels: ['name', 'controller'],
  },
  workqueue_retries_total: {
    type: 'counter',
    help: 'Turns that failed and are tried again after a growing wait.',
    labels: ['name', 'controller'],
  },
  controller_runtime_reconcile_total: {
    type: 'counter',
    help: 'Turns of work that ended, by result: success, requeue, requeue_after, error.',
    labels: ['controller', 'result'],
  },
  controller_runtime_reconcile_errors_total: {
    type: 'counter',
    help: 'Turns of work that ended with an error of any kind.',
    labels: ['controller'],
  },
  controller_runtime_terminal_reconcile_errors_total: {
    type: 'counter',
    help: 'Turns of work that ended with an error that waiting does not help.',
    labels: ['controller'],
  },
  controller_runtime_reconcile_panics_total: {
    type: 'counter',
    help: 'Turns of work that ended with an error that nobody foresaw: a bug of ours.',
    labels: ['controller'],
  },
  controller_runtime_reconcile_time_seconds: {
    type: 'histogram',
    help: 'How long one turn of work took.',
    labels: ['controller'],
    buckets: turnBuckets,
  },
  controller_runtime_max_concurrent_reconciles: {
    type: 'gauge',
    help: 'Turns of work that may be under way at once.',
    labels: ['controller'],
  },
  controller_runtime_active_workers: {
    type: 'gauge',
    help: 'Turns of work under way.',
    labels: ['controller'],
  },

  reflash_objects: { type: 'gauge', help: 'Objects in the store.', labels: ['kind'] },
  reflash_devices: {
    type: 'gauge',
    help: 'Devices, by the condition UpToDate and the one reason why they are not upgraded now ("" where there is none).',
    labels: ['namespace', 'category', 'up_to_date', 'reason'],
  },
  reflash_devices_reachable: {
    type: 'gauge',
    help: 'Devices by the condition Reachable.',
    labels: ['namespace', 'category', 'reachable'],
  },
  reflash_device_versions: {
    type: 'gauge',
    help: 'Devices by what they run; beyond 500 combinations the rarest are counted together as "other".',
    labels: ['namespace', 'category', 'model', 'version'],
  },
  reflash_device_info: {
    type: 'gauge',
    help: 'One for each device. Only with --metrics-per-device.',
    labels: ['namespace', 'name', 'category', 'model', 'version', 'target'],
  },
  reflash_device_last_seen_timestamp_seconds: {
    type: 'gauge',
    help: 'When the device last answered a probe. Only with --metrics-per-device.',
    labels: ['namespace', 'name'],
  },

  reflash_policy_phase: {
    type: 'gauge',
    help: '1 for the phase that the policy is in, 0 for the others.',
    labels: ['namespace', 'policy', 'phase'],
  },
  reflash_policy_devices: {
    type: 'gauge',
    help: "Devices of a policy, by each count of the policy's status; one device may be in several.",
    labels: ['namespace', 'policy', 'state'],
  },
  reflash_operations: {
    type: 'gauge',
    help: 'Unfinished operations by phase.',
    labels: ['phase'],
  },
  reflash_oldest_operation_in_flight_seconds: {
    type: 'gauge',
    help: 'Seconds since the oldest operation in flight began its attempt; 0 where none is in flight.',
    labels: [],
  },
  reflash_upgrades_total: {
    type: 'counter',
    help: 'Operations that ended, by verdict. The class is the failure class, or AlreadyOnTarget where nothing had to be done. A lost device that is seen again gets a second verdict.',
    labels: ['namespace', 'policy', 'result', 'class'],
  },
  reflash_upgrade_duration_seconds: {
    type: 'histogram',
    help: 'How long operations that ended were in each phase of their last attempt, and in that attempt as a whole (Total).',
    labels: ['step', 'result'],
    buckets: stepBuckets,
  },
  reflash_upgrade_last_completion_timestamp_seconds: {
    type: 'gauge',
    help: 'When an operation last ended with this result; absent before the first.',
    labels: ['result'],
  },

  reflash_governor_in_flight: {
    type: 'gauge',
    help: 'Upgrades in flight, counted against --max-in-flight.',
    labels: [],
  },
  reflash_governor_max_in_flight: { type: 'gauge', help: '--max-in-flight.', labels: [] },
  reflash_governor_starts_last_minute: {
    type: 'gauge',
    help: 'Flashes started in the last minute, counted against --max-starts-per-minute.',
    labels: [],
  },
  reflash_governor_max_starts_per_minute: { type: 'gauge', help: '--max-starts-per-minute.', labels: [] },
  reflash_governor_stopped: {
    type: 'gauge',
    help: '1 for the reason for which nothing may start, 0 for the others.',
    labels: ['reason'],
  },

  reflash_ssh_sessions: { type: 'gauge', help: 'Open SSH sessions.', labels: [] },
  reflash_ssh_connects_total: { type: 'counter', help: 'SSH sessions that were opened.', labels: [] },
  reflash_ssh_connect_errors_total: {
    type: 'counter',
    help: 'SSH sessions that could not be opened, by error code.',
    labels: ['class'],
  },

  reflash_source_errors: {
    type: 'gauge',
    help: 'Errors in the last revision of the directory.',
    labels: [],
  },
  reflash_source_last_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When the directory was last read whole and at rest; absent before the first time.',
    labels: [],
  },
  reflash_store_version: {
    type: 'gauge',
    help: 'Version of the latest write; its rate is the writes a second.',
    labels: [],
  },
  reflash_store_size_bytes: {
    type: 'gauge',
    help: 'Size of the state on disk, its journal included.',
    labels: [],
  },
  reflash_events_dropped_total: {
    type: 'counter',
    help: 'Events that were not written to the cluster: too many waited (Full), their object told too much (Limited), the server refused them (Refused) or did not take them for minutes (Unavailable).',
    labels: ['reason'],
  },
  leader_election_master_status: {
    type: 'gauge',
    help: '1 while this replica leads, 0 while it stands by; in a cluster only.',
    labels: ['name'],
  },
  reflash_build_info: {
    type: 'gauge',
    help: '1, with the versions of Reflash and Node.js as labels.',
    labels: ['version', 'node'],
  },
  http_request_duration_seconds: {
    type: 'histogram',
    help: 'Time until the answer began, by the pattern of the route; a watch counts until its headers.',
    labels: ['method', 'route', 'status'],
    buckets: requestBuckets,
  },
} as const satisfies Record<string, Definition>

type Table = typeof metricTable
export type MetricName = keyof Table
type NameOf<T extends Definition['type']> = {
  [N in MetricName]: Table[N]['type'] extends T ? N : never
}[MetricName]
export type CounterName = NameOf<'counter'>
export type GaugeName = NameOf<'gauge'>
export type HistogramName = NameOf<'histogram'>
/** A value for each label of a metric. */
export type Labels<N extends MetricName> = Record<Table[N]['labels'][number], string>
