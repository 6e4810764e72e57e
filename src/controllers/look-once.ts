import { keyOf } from '../core/keys.ts'
import { isReadyImage } from '../core/match.ts'
import { toMs } from '../core/time.ts'
import type { Device } from '../api/resources.ts'
import type { Ports } from './ports.ts'
import { reconcileBuild, reconcileCategory } from './reconcile-build.ts'
import { reconcileDevice } from './reconcile-device.ts'
import { reconcileImage } from './reconcile-image.ts'

/** A device seen more recently is not asked again. */
const freshMs = 15 * 60_000

/** Looks once at everything that decides, without starting anything: for a plan over a store that is thrown away. */
export async function lookOnce(
  ports: Ports,
  { probe, concurrency, signal }: { probe: boolean; concurrency: number; signal: AbortSignal },
): Promise<void> {
  const { fleet, clock } = ports
  for (const category of fleet.list('Category')) await reconcileCategory(keyOf(category), ports)
  for (const image of fleet.list('FirmwareImage')) {
    // What a run has checked already need not be fetched again.
    if (!isReadyImage(image)) await reconcileImage(keyOf(image), ports, signal)
  }
  for (const build of fleet.list('Build')) await reconcileBuild(keyOf(build), ports)
  const due = (device: Device): boolean => {
    const seen = device.status.lastProbeTime
    return probe && (seen === undefined || clock.now() - toMs(seen) > freshMs)
  }
  const devices = fleet.list('Device')
  const worker = async (): Promise<void> => {
    for (let device = devices.pop(); device; device = devices.pop()) {
      signal.throwIfAborted()
      await reconcileDevice(keyOf(device), ports, signal, { probe: due(device) })
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}
