/**
 * `node fleet-server.ts OPTIONS`: simulated routers behind SSH servers of one process, so that what measures the
 * controller does not measure them. Writes their manifests, says `ready` to its parent, answers each message with what
 * the routers went through, and ends with its parent.
 */
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import type { UpgradePolicySpec } from '../../src/api/resources.ts'
import { createFleet, freeAddresses, knownReleases, serveFleet } from '../../src/simulator/simulator.ts'

export interface ServerOptions {
  count: number
  /** Folder to write the manifests into. */
  directory: string
  imageBytes: number
  rebootMs: number
  /** How long a router still runs once its start has been told; default 0, which cuts that answer off. */
  shutdownMs?: number
  policy: Partial<UpgradePolicySpec>
  /** One router in so many runs an older release than the target; absent: all do. */
  onTargetBut?: number
}

export interface ServerReport {
  /** Routers that run the target. */
  upgraded: number
  /** Images written, over all routers. */
  flashes: number
}

/** Drawn from evenly, so that one in so many is old. */
const mixOf = (oneIn: number) => [
  knownReleases['23.05.5'],
  ...Array.from({ length: oneIn - 1 }, () => knownReleases['24.10.8']),
]

if (import.meta.main) {
  const {
    count,
    directory,
    imageBytes,
    rebootMs,
    shutdownMs = 0,
    policy,
    onTargetBut,
  } = JSON.parse(process.argv[2]!) as ServerOptions
  const addresses = await freeAddresses(count)
  const fleet = createFleet({
    count,
    seed: 'bench',
    clock: systemClock,
    imageBytes,
    addressOf: (index) => addresses[index]!,
    // Nothing but shutdown and reboot take time, so that the ideal is known.
    timings: { connectMs: 0, commandMs: 0, testMs: 0, shutdownMs, flashMs: 0, rebootMs },
    policy,
    ...(onTargetBut === undefined ? {} : { releases: mixOf(onTargetBut) }),
  })
  await serveFleet(fleet)
  await fleet.writeManifests(directory)
  const target = knownReleases['24.10.8'].revision
  const report = (): ServerReport => ({
    upgraded: fleet.routers.filter(({ state }) => state.release.revision === target).length,
    flashes: fleet.routers.flatMap(({ history }) => history).filter(({ type }) => type === 'FlashWritten')
      .length,
  })
  process.on('message', () => process.send!(report()))
  process.on('disconnect', () => process.exit())
  process.send!('ready')
}
