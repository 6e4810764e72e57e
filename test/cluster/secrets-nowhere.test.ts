import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { badCredentials, canary, overhear, placesOf, readApi, standOf } from '../support/canary.ts'
import { startClusterFleet } from '../support/cluster-fleet.ts'
import { clusterTestMs, describeCluster } from '../support/cluster-suite.ts'
import { recordFigure } from '../support/figures.ts'
import { until } from '../support/until.ts'

vi.setConfig({ testTimeout: clusterTestMs })

/** What the simulated routers accept. */
const routerPassword = 'correct-horse'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
/** As a tool may have made it: text that is none, beside a key that means nothing. */
const noText = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(canary)]).toString('base64')
const secrets: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ...Object.fromEntries(
    Object.entries(badCredentials).map(([name, entries]) => [
      name,
      Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, base64(value)])),
    ]),
  ),
  'no-text': { username: base64('root'), password: noText, [canary]: base64('x') },
}

describeCluster(
  'in a cluster',
  (cluster) => {
    const { kubectl, open } = cluster
    test('what is in a Secret appears nowhere but in the Secret', async () => {
      const names = Object.keys(secrets)
      const fleet = await startClusterFleet(cluster.server, { count: names.length + 1 })
      open.push(fleet)
      await kubectl('apply', '-f', fleet.folder)
      const objects = names.map((name) => ({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name },
        data: secrets[name],
      }))
      const list = join(fleet.folder, 'secrets.json')
      await writeFile(list, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
      // By the server, which does not write it down once more in an annotation.
      await kubectl('create', '-f', list)
      for (const [index, name] of names.entries()) {
        const patch = JSON.stringify({ spec: { credentialsRef: { name } } })
        await kubectl('patch', 'device', fleet.routers[index + 1]!.name, '--type', 'merge', '-p', patch)
      }

      const flags = ['--images', fleet.folder, '--cache', join(fleet.folder, 'cache')]
      const child = overhear(
        [
          'controller',
          '--kubeconfig',
          cluster.kubeconfigs.controller,
          '--max-starts-per-minute',
          '10000',
          ...flags,
        ],
        fleet.folder,
      )
      open.push({ stop: async () => child.kill() })
      await until(
        'an upgrade, and devices that nobody can log in to',
        async () => {
          const { succeeded, refused } = await standOf(child)
          return succeeded === 1 && Object.keys(refused).length === names.length
        },
        120_000,
      )
      const said = await readApi(
        child,
        fleet.routers.map(({ name }) => name),
      )
      const shown = await child.shown()
      await child.stop()
      const kinds = (await kubectl('api-resources', '--verbs=list', '-o', 'name')).trim().split('\n')
      const others = kinds.filter((kind) => kind !== 'secrets')
      expect(others).toContain('events')
      const stored = [await kubectl('get', others.join(','), '--all-namespaces', '-o', 'json')]
      expect(stored.join('')).toContain('UpgradeSucceeded')
      expect(said.join('')).toContain('AuthFailed')
      // The manifests of the fleet hold its Secret; those of the others were never applied.
      const everything = { said, shown, stored, lines: child.lines }
      expect(placesOf(everything, routerPassword)).toEqual([])
      recordFigure({
        suite: 'hostile',
        name: 'Secrets of a cluster that were wrong, of which nothing was seen',
        value: names.length,
      })
    })
  },
  ({ kubectl }) => kubectl('delete', 'secret', '--ignore-not-found', 'routers', ...Object.keys(secrets)),
)
