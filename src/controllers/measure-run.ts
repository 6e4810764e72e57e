import type { Metrics } from '../ports/metrics.ts'
import { readFleet, type FleetReading } from './fleet-samples.ts'
import { countUpgrades } from './upgrade-metrics.ts'

export interface MeasuredFleet extends FleetReading {
  /** Whether this process speaks for the fleet; of several replicas only one does, or every sum would be doubled. */
  speaks: () => boolean
}

/** Shows the fleet to whoever scrapes. To be called before the fleet is read, so that no verdict is missed. */
export function measureFleet(metrics: Metrics, measured: MeasuredFleet): void {
  countUpgrades(measured.fleet, metrics, measured.speaks)
  metrics.onScrape(() => (measured.speaks() ? readFleet(measured) : []))
}

export interface MeasuredRun extends FleetReading {
  /** How it stands with the directory. */
  source: {
    errors: () => number
    /** When it was last read whole, in ms since 1970. */
    readAt: () => number | undefined
  }
  stateBytes: () => Promise<number>
}

/** Shows a run over a directory as well. */
export function measureRun(metrics: Metrics, run: MeasuredRun): void {
  const { fleet, source, stateBytes } = run
  measureFleet(metrics, { ...run, speaks: () => true })
  metrics.onScrape(async () => {
    const readAt = source.readAt()
    return [
      { name: 'reflash_source_errors', labels: {}, value: source.errors() },
      ...(readAt === undefined
        ? []
        : ([
            { name: 'reflash_source_last_success_timestamp_seconds', labels: {}, value: readAt / 1000 },
          ] as const)),
      { name: 'reflash_store_version', labels: {}, value: Number(fleet.latestVersion()) },
      { name: 'reflash_store_size_bytes', labels: {}, value: await stateBytes() },
    ]
  })
}
