import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Device } from '../../src/api/resources.ts'
import { declare } from '../../src/simulator/manifest.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { installReflash, kubectlOf } from '../support/cluster-fleet.ts'
import { until } from '../support/until.ts'
import { atMost, type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import type { ServerOptions } from './fleet-server.ts'
import { ungoverned } from './fleet.ts'
import { processMs, reflash, residentBytes } from './measure.ts'

const devices = 100
/** One in so many is off the target: what is counted is an upgrade, and not the first look at a fleet. */
const oneIn = 10
const maxWrites = 8
const maxConnectMs = 1000
const limitMs = 900_000
const lookEveryMs = 1000

/** Writes that the server has counted, of the resources that the pattern names. */
const writesOf = async (server: ApiServer, resources: RegExp): Promise<number> => {
  const { body } = await server.request('GET', '/metrics')
  let writes = 0
  for (const line of String(body).split('\n')) {
    if (!line.startsWith('apiserver_request_total{')) continue
    const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? ''
    const isWrite = ['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE'].includes(label('verb'))
    if (isWrite && resources.test(`${label('group')}/${label('resource')}`))
      writes += Number(line.split(' ').at(-1))
  }
  return writes
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
    /** Devices of which it is known what they run, and those of them that do not run the target. */
    const look = async (): Promise<{ asked: number; offTarget: number }> => {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
      const { body } = await server.request('GET', '/apis/reflash.dev/v1alpha1/devices')
      const asked = (body as { items: Device[] }).items.filter(
        ({ status }) => status?.osIdentifier !== undefined,
      )
      const offTarget = asked.filter(({ status }) => status.buildRef?.name !== status.desiredBuildRef?.name)
      return { asked: asked.length, offTarget: offTarget.length }
    }
    await until('every device has been asked', async () => (await look()).asked === devices, limitMs)
    const askedMs = performance.now() - startedMs
    const { offTarget: upgrades } = await look()
    const before = {
      ours: await writesOf(server, /^reflash\.dev\//),
      events: await writesOf(server, /events/),
    }
    const cpuBefore = processMs(controller.pid!)
    const patch = '{"spec":{"state":"Run"}}'
    await kubectl('patch', 'upgradepolicy', 'access-points', '--type', 'merge', '-p', patch)
    await until('the fleet is on its target', async () => (await look()).offTarget === 0, limitMs)
    const writes = (await writesOf(server, /^reflash\.dev\//)) - before.ours
    const events = (await writesOf(server, /events/)) - before.events
    const cpuMs = processMs(controller.pid!) - cpuBefore
    const { fromStart, fromEnd } = await firstConnectionMs(kubectl, folder)
    return [
      finding(`${devices} devices asked for the first time in ${seconds(askedMs)}`),
      atMost(
        `${upgrades} upgrades: ${(writes / upgrades).toFixed(1)} API writes each, and ${(events / upgrades).toFixed(1)} of events; CPU ${(cpuMs / upgrades).toFixed(0)} ms each`,
        writes / upgrades,
        maxWrites,
      ),
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
