import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Device, UpgradePolicy } from '../../src/api/resources.ts'
import { declare } from '../../src/simulator/manifest.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { installReflash, kubectlOf } from '../support/cluster-fleet.ts'
import { until } from '../support/until.ts'
import { atMost, type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import type { ServerOptions } from './fleet-server.ts'
import { ungoverned } from './fleet.ts'
import { processMs, reflash, residentBytes } from './measure.ts'

const devices = 2000
/** One in so many is off the target: what is counted is an upgrade, and not the first look at a fleet. */
const oneIn = 10
const maxWrites = 8
const maxConnectMs = 1000
const limitMs = 900_000
const lookEveryMs = 1000
/** Thousands of devices are megabytes, and the server has other work. */
const listEveryMs = 5000
const policyName = 'access-points'
const policyPath = `/apis/reflash.dev/v1alpha1/namespaces/default/upgradepolicies/${policyName}`

/** Writes that the server has counted, those that it has refused as well: by verb, group and resource. */
const writesOf = async (server: ApiServer): Promise<Map<string, number>> => {
  const { body } = await server.request('GET', '/metrics')
  const writes = new Map<string, number>()
  for (const line of String(body).split('\n')) {
    if (!line.startsWith('apiserver_request_total{')) continue
    const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? ''
    const verb = label('verb')
    if (!['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE'].includes(verb)) continue
    const resource = [label('resource'), label('subresource')].filter((part) => part !== '').join('/')
    const outcome = label('code') === '409' ? ' (conflict)' : ''
    const name = `${verb} ${label('group')} ${resource}${outcome}`
    writes.set(name, (writes.get(name) ?? 0) + Number(line.split(' ').at(-1)))
  }
  return writes
}

/** What has come since, of the resources that the pattern names: all of it, and each kind for itself. */
const writesSince = (
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  pattern: RegExp,
): { total: number; parts: [string, number][] } => {
  const parts = [...after]
    .filter(([name]) => pattern.test(name))
    .map(([name, count]): [string, number] => [name, count - (before.get(name) ?? 0)])
    .filter(([, count]) => count > 0)
  return { total: parts.reduce((sum, [, count]) => sum + count, 0), parts }
}

/** How long after `kubectl apply` a new Device is connected to. */
const firstConnectionMs = async (kubectl: ReturnType<typeof kubectlOf>, folder: string) => {
  const connected = Promise.withResolvers<number>()
  const router = createServer((socket) => {
    connected.resolve(performance.now())
    socket.destroy()
  })
  await new Promise<void>((resolve) => router.listen(0, '127.0.0.1', resolve))
  const { port } = router.address() as { port: number }
  const { written } = declare('Device', 'new', {
    categoryRef: { name: 'access-points' },
    addresses: ['127.0.0.1'],
    port,
    credentialsRef: { name: 'routers' },
  })
  const file = join(folder, 'new.yaml')
  await writeFile(file, JSON.stringify(written))
  const startedMs = performance.now()
  await kubectl('apply', '-f', file)
  const appliedMs = performance.now()
  const atMs = await connected.promise
  router.close()
  return { fromStart: atMs - startedMs, fromEnd: atMs - appliedMs }
}

const startFleet = async (options: ServerOptions): Promise<ChildProcess> => {
  const child = fork(fileURLToPath(new URL('fleet-server.ts', import.meta.url)), [JSON.stringify(options)])
  const [said] = await Promise.race([once(child, 'message'), once(child, 'exit')])
  if (said !== 'ready') throw new Error(`the simulated fleet does not start: ${String(said)}`)
  return child
}

const measureCluster = async (server: ApiServer, folder: string): Promise<Finding[]> => {
  const kubeconfigs = await installReflash(server)
  const kubectl = kubectlOf(kubeconfigs.admin)
  const directory = join(folder, 'manifests')
  const routers = await startFleet({
    count: devices,
    directory,
    imageBytes: 64 * 1024,
    rebootMs: 1000,
    shutdownMs: 500,
    onTargetBut: oneIn,
    policy: { state: 'Plan', limits: { maxConcurrent: 50, startsPerMinute: 10_000 } },
  })
  await kubectl('apply', '--server-side', '-f', directory)
  const argv = reflash(
    'controller',
    '--kubeconfig',
    kubeconfigs.controller,
    '--images',
    directory,
    '--listen',
    'none',
  )
  const [program, ...args] = [...argv, '--cache', join(folder, 'cache'), ...ungoverned]
  const startedMs = performance.now()
  const controller = spawn(program!, args, { stdio: 'ignore' })
  try {
    const devicesNow = async (): Promise<Device[]> => {
      await sleep(listEveryMs)
      const { body } = await server.request('GET', '/apis/reflash.dev/v1alpha1/devices')
      return (body as { items: Device[] }).items
    }
    const isAsked = ({ status }: Device): boolean => status?.osIdentifier !== undefined
    await until('every device has been asked', async () => (await devicesNow()).every(isAsked), limitMs)
    const askedMs = performance.now() - startedMs
    const upgrades = (await devicesNow()).filter(
      ({ status }) => status.buildRef?.name !== status.desiredBuildRef?.name,
    ).length
    const before = await writesOf(server)
    const cpuBefore = processMs(controller.pid!)
    const patch = '{"spec":{"state":"Run"}}'
    const runMs = performance.now()
    await kubectl('patch', 'upgradepolicy', policyName, '--type', 'merge', '-p', patch)
    const isConverged = async (): Promise<boolean> => {
      await sleep(lookEveryMs)
      const { body } = await server.request('GET', policyPath)
      return (body as UpgradePolicy).status.phase === 'Converged'
    }
    await until('the fleet is on its target', isConverged, limitMs)
    const upgradedMs = performance.now() - runMs
    const after = await writesOf(server)
    const cpuMs = processMs(controller.pid!) - cpuBefore
    // The patch is one of them, and not ours.
    const ours = writesSince(before, after, / reflash\.dev (?!upgradepolicies$)/)
    const events = writesSince(before, after, / events/)
    const { fromStart, fromEnd } = await firstConnectionMs(kubectl, folder)
    const each = (count: number): string => (count / upgrades).toFixed(2)
    return [
      finding(
        `${devices} devices asked for the first time in ${seconds(askedMs)}; ${upgrades} of them upgraded in ${seconds(upgradedMs)}`,
      ),
      atMost(`${each(ours.total)} API writes an upgrade`, ours.total / upgrades, maxWrites),
      ...ours.parts.map(([name, count]) => finding(`  ${each(count)} ${name}`)),
      finding(
        `beside them ${((1000 * events.total) / upgradedMs).toFixed(1)} writes of events a second, of at most 20: an upgrade has about 14`,
      ),
      finding(`CPU ${(cpuMs / upgrades).toFixed(0)} ms an upgrade`),
      atMost(
        `a new Device is connected to ${seconds(Math.max(0, fromEnd))} after kubectl apply has ended, ${seconds(fromStart)} after it was called`,
        fromEnd,
        maxConnectMs,
        ' ms',
      ),
      finding(`resident ${mebibytes(residentBytes(controller.pid!))}`),
    ]
  } finally {
    controller.kill('SIGKILL')
    routers.kill('SIGKILL')
  }
}

const run = (): Promise<Finding[]> =>
  withFolder(async (folder) => {
    const server = await startApiServer()
    try {
      return await measureCluster(server, folder)
    } finally {
      await server.stop()
    }
  })

export const clusterBench: Bench = {
  title: `${devices} devices in a cluster with a real API server, one in ${oneIn} off its target`,
  needs: ['setpriv', 'openssl'],
  missing: missingApiServer,
  run,
}
