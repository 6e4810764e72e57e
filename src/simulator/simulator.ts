/** What the demo needs of the simulator, loaded only when it runs. */
export { createFleet } from './fleet.ts'
export { freeAddresses } from './free-addresses.ts'
export { knownReleases } from './release.ts'
export { serveFleet } from './serve-fleet.ts'
