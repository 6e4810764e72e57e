import { collectDefaultMetrics, Registry } from '@prometheus-io/client'

let registry: Registry | undefined

/**
 * CPU, memory, garbage collection and lag of this process: one registry, however many fleets it runs. It measures from
 * the first call on, so that whoever is never scraped pays nothing.
 */
export function processMetrics(): Registry {
  if (registry) return registry
  registry = new Registry()
  // The client samples ten times a second and its lag a hundred times; a controller that mostly waits needs neither.
  collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: 50,
    eventLoopUtilizationTimeout: 1000,
  })
  return registry
}
