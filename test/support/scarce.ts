import type { FleetOptions } from '../../src/simulator/fleet.ts'

/** Routers that have no room for an image until some of their services are stopped. */
export const scarce: Partial<FleetOptions> = { memoryAvailableBytes: 6 * 2 ** 20 }
