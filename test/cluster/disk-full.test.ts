/**
 * A controller of a cluster whose disk is full: it keeps nothing there but its cache of images. The image says what is
 * wrong, nothing starts, and when there is room all goes on by itself.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { clusterTestMs, describeCluster } from '../support/cluster-suite.ts'
import { startClusterFleet, startController, untilConverged } from '../support/cluster-fleet.ts'
import { mountSmallDisk } from '../support/small-disk.ts'

describe.runIf(process.getuid?.() === 0)('with a small disk (needs root, to mount it)', () => {
  describeCluster('a full disk in a cluster', (cluster) => {
    test('starts nothing, says why, and ends well with room', { timeout: clusterTestMs }, async () => {
      const { kubectl, open } = cluster
      const fleet = await startClusterFleet(cluster.server, { count: 2 })
      open.push(fleet)
      const cache = join(fleet.folder, 'cache')
      await mkdir(cache)
      const disk = await mountSmallDisk(cache, 2 ** 20)
      open.push({ stop: () => disk.unmount() })
      disk.fill()
      const { server, kubeconfigs } = cluster
      const controller = startController(kubeconfigs.controller, { images: fleet.folder, cache })
      open.push(controller)
      await kubectl('apply', '-f', fleet.folder)
      const said = '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=FetchFailed'
      await kubectl('wait', said, '--timeout=60s', 'firmwareimages', '--all')
      const { body } = await server.request('GET', '/apis/reflash.dev/v1alpha1/firmwareimages')
      expect(JSON.stringify(body)).toMatch(/ENOSPC|no space left/)
      expect(fleet.flashes()).toEqual([0, 0])
      expect(controller.events.filter(({ type }) => type === 'Bug')).toEqual([])
      disk.free()
      await untilConverged(kubectl)
      expect(fleet.flashes()).toEqual([1, 1])
    })
  })
})
