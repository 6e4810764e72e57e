import type { CounterName, GaugeName, HistogramName, Labels } from '../core/metric-table.ts'

/** The value of one gauge at this moment. */
export type Sample = { [N in GaugeName]: { name: N; labels: Labels<N>; value: number } }[GaugeName]

/** What a scrape asks for gauges. */
export type ReadSamples = () => readonly Sample[] | Promise<readonly Sample[]>

/**
 * Where the parts of the process count what they do. A call costs the same whatever the size of the fleet, and never
 * throws. Label values are names of ours or of the operator's, never addresses or device names.
 */
export interface Metrics {
  add<N extends CounterName>(name: N, labels: Labels<N>): void
  observe<N extends HistogramName>(name: N, labels: Labels<N>, value: number): void
  /** Shows a counter or a histogram with nothing in it, so that its first increase is seen as one. */
  declare<N extends CounterName | HistogramName>(name: N, labels: Labels<N>): void
  /** Gauges are read when somebody asks, at most once a second. The returned function ends that. */
  onScrape(read: ReadSamples): () => void
}

/** Counts nothing. */
export const noMetrics: Metrics = {
  add: () => {},
  observe: () => {},
  declare: () => {},
  onScrape: () => () => {},
}
