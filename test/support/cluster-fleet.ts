import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { runController, type ControllerOptions } from '../../src/cluster.ts'
import { apiDefaults, defaults, readControllerConfig, type ControllerFlags } from '../../src/config.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { createFleet, type FleetOptions } from '../../src/simulator/fleet.ts'
import { freeAddresses } from '../../src/simulator/free-addresses.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import type { Router } from '../../src/simulator/router.ts'
import { serveFleet } from '../../src/simulator/serve-fleet.ts'
import type { ApiServer } from './api-server.ts'
import { newestKubectl } from './rendered-manifests.ts'

const top = fileURLToPath(new URL('../../', import.meta.url))

export const controllerAccount = { namespace: 'reflash-system', name: 'reflash-controller' }

/** Runs kubectl as the administrator, in the top of the checkout. @throws Error with what it says when it fails. */
export const kubectlOf =
  (kubeconfig: string) =>
  async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(
      newestKubectl.path,
      ['--kubeconfig', kubeconfig, '--cache-dir', `${kubeconfig}.cache`, ...args],
      { cwd: top },
    )
    return stdout
  }

/** Everything else on a machine with few processors may run beside it. */
export const convergeLimitMs = 240_000

/**
 * Waits as a person would, for all that are named. @throws Error with where each object stands, when that takes longer than
 * the limit.
 */
export async function untilAll(
  kubectl: ReturnType<typeof kubectlOf>,
  wished: string,
  names: readonly string[],
  namespace = 'default',
): Promise<void> {
  const timeout = `--timeout=${convergeLimitMs / 1000}s`
  try {
    await kubectl('wait', '-n', namespace, `--for=${wished}`, timeout, ...names)
  } catch (error) {
    const logs = '-o=jsonpath={range .items[*]}{.metadata.name}: {.status.log}{"\\n"}{end}'
    throw new Error(
      [
        await kubectl('get', '-n', namespace, 'upol,uop,dev', '-o', 'wide'),
        await kubectl('get', '-n', namespace, 'uop', logs),
      ].join('\n'),
      { cause: error },
    )
  }
}

export const untilConverged = (kubectl: ReturnType<typeof kubectlOf>, namespace?: string): Promise<void> =>
  untilAll(kubectl, 'condition=Converged', ['upgradepolicy/access-points'], namespace)

/** What `kubectl apply -k manifests/base` makes, and a kubeconfig of the controller's own account. */
export async function installReflash(server: ApiServer): Promise<{ admin: string; controller: string }> {
  const admin = await server.writeKubeconfig(server.adminToken)
  await kubectlOf(admin)('apply', '-k', 'manifests/base')
  const token = await server.serviceAccountToken(controllerAccount.namespace, controllerAccount.name)
  return { admin, controller: await server.writeKubeconfig(token, controllerAccount.namespace) }
}

/** Simulated routers behind real SSH, and the manifests that declare them. */
export interface ClusterFleet {
  routers: readonly Router[]
  /** With the image files below it, as the manifests name them. */
  folder: string
  /** How often each router was flashed, in order. */
  flashes(): number[]
  onTarget(): number
  stop(): Promise<void>
}

const quickTimings = { connectMs: 0, commandMs: 0, testMs: 10, shutdownMs: 50, flashMs: 100, rebootMs: 300 }

export async function startClusterFleet(
  server: ApiServer,
  options: Partial<FleetOptions> & { count: number },
): Promise<ClusterFleet> {
  const addresses = await freeAddresses(options.count)
  const fleet = createFleet({
    seed: 'cluster',
    releases: [knownReleases['23.05.5']],
    clock: systemClock,
    addressOf: (index) => addresses[index]!,
    timings: quickTimings,
    ...options,
    policy: { limits: { maxConcurrent: 50, startsPerMinute: 10_000 }, ...options.policy },
  })
  const served = await serveFleet(fleet)
  const folder = await mkdtemp(join(server.folder, 'fleet-'))
  await fleet.writeManifests(folder)
  const target = knownReleases['24.10.8'].revision
  return {
    routers: fleet.routers,
    folder,
    flashes: () =>
      fleet.routers.map(({ history }) => history.filter(({ type }) => type === 'FlashWritten').length),
    onTarget: () => fleet.routers.filter(({ state }) => state.release.revision === target).length,
    async stop() {
      await served.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export interface RunningController {
  events: readonly FleetEvent[]
  /** Where its API is. */
  url: Promise<string>
  ended: Promise<'Stopped' | 'Lost'>
  /** Ends in order, and gives how. */
  stop(): Promise<'Stopped' | 'Lost'>
}

/** A controller in this process; two of them share nothing but the cluster. */
export function startController(
  kubeconfig: string,
  flags: Partial<ControllerFlags> & { cache: string },
  options: Partial<ControllerOptions> = {},
): RunningController {
  const stopping = new AbortController()
  const events: FleetEvent[] = []
  const listening = Promise.withResolvers<string>()
  const config = readControllerConfig(
    {
      ...defaults,
      ...apiDefaults,
      maxInFlight: '1000',
      maxStartsPerMinute: '10000',
      listen: '127.0.0.1:0',
      kubeconfig,
      ...flags,
    },
    {},
  )
  const ended = runController(config, {
    events: { emit: (event) => void events.push(event) },
    signal: stopping.signal,
    onListening: listening.resolve,
    ...options,
  })
  ended.catch(listening.reject)
  return {
    events,
    url: listening.promise,
    ended,
    stop() {
      stopping.abort()
      return ended
    },
  }
}
