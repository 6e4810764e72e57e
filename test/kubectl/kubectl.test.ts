/** Real kubectls of distant releases against a real `reflash run`, with no cluster anywhere. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { builtPrograms, notBuilt } from '../support/built-programs.ts'
import { makeKubectl, type Kubectl } from '../support/kubectl.ts'
import { unlessMissing } from '../support/requires.ts'
import { startServedApi, type ServedApi } from '../support/served-api.ts'
import { startServedFleet, type ServedFleet } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

const programs = builtPrograms('kubectl')
const devices = ['ap-001', 'ap-002', 'ap-003', 'ap-004', 'ap-005']
const policyFile = 'settings/UpgradePolicy-access-points.yaml'
const api = '/apis/reflash.dev/v1alpha1'
/** What a person sees as at once. */
const promptMs = 1000

type Row = Record<string, string>

/** Rows by the names of their columns, which begin where the header says. */
function tableOf(text: string): Row[] {
  const [header = '', ...lines] = text.split('\n').filter((line) => line !== '')
  const starts = Array.from(header.matchAll(/\S+( \S+)*/g), ({ 0: name, index }) => ({ name, index }))
  return lines.map((line) =>
    Object.fromEntries(
      starts.map(({ name, index }, at) => [name, line.slice(index, starts[at + 1]?.index).trim()]),
    ),
  )
}

const column = (text: string, name: string): string[] => tableOf(text).map((row) => row[name]!)

unlessMissing(notBuilt(programs))('kubectl without a cluster', () => {
  let fleet: ServedFleet
  let controller: ServedApi
  let server: string
  const kubectls = new Map<string, Kubectl>()

  beforeAll(async () => {
    fleet = await startServedFleet({ count: devices.length, seed: 'kubectl', policy: { state: 'Plan' } })
    await fleet.write('lab.yaml', labText)
    controller = await startServedApi(fleet)
    server = controller.url
    await until('a server that is ready', async () => (await fetch(`${server}/readyz`)).ok)
    for (const program of programs) kubectls.set(program.version, makeKubectl(program, server, fleet.folder))
    await until('a device that has been seen', async () => {
      const { items } = (await (await fetch(`${server}${api}/devices`)).json()) as {
        items: { status: object }[]
      }
      return items.length === devices.length && items.every(({ status }) => 'lastProbeTime' in status)
    })
  })

  afterAll(async () => {
    await controller.stop()
    await fleet.stop()
  })

  test('follows a rollout as it happens', async () => {
    const watchers = Array.from(kubectls.values(), (kubectl) => ({
      operations: kubectl.follow('get', 'upgradeoperations', '--watch'),
      events: kubectl.follow('get', 'events', '--watch-only'),
      upToDate: kubectl.run('wait', '--for=condition=UpToDate', 'devices', '--all', '--timeout=25s'),
      converged: kubectl.run(
        'wait',
        '--for=jsonpath={.status.phase}=Converged',
        'upol/access-points',
        '--timeout=25s',
      ),
    }))
    const policy = await readFile(join(fleet.directory, policyFile), 'utf8')
    await fleet.write(policyFile, policy.replace('"Plan"', '"Run"'))
    for (const { operations, events, upToDate, converged } of watchers) {
      const seen = await upToDate
      expect(seen, seen.stderr).toMatchObject({ code: 0 })
      for (const device of devices)
        expect(seen.stdout).toContain(`device.reflash.dev/${device} condition met`)
      const done = await converged
      expect(done, done.stderr).toMatchObject({ code: 0 })
      for (const device of devices) {
        await operations.line(new RegExp(`^${device}-.*\\bSucceeded\\b`))
        await events.line(new RegExp(`UpgradeSucceeded +device/${device} `))
      }
    }
    expect(fleet.routers.map(({ state }) => state.release.version)).toEqual(devices.map(() => '24.10.8'))
  })

  describe.each(programs)('$version', ({ version }) => {
    const read = (...args: string[]): Promise<string> => kubectls.get(version)!.read(...args)
    const run: Kubectl['run'] = (...args) => kubectls.get(version)!.run(...args)
    const follow: Kubectl['follow'] = (...args) => kubectls.get(version)!.follow(...args)

    describe('get', () => {
      test('a list', async () => {
        const rows = tableOf(await read('get', 'devices'))
        expect(rows.map((row) => row['NAME'])).toEqual(devices)
        expect(Object.keys(rows[0]!)).toEqual([
          'NAME',
          'CATEGORY',
          'BOARD',
          'OS',
          'TARGET',
          'UPTODATE',
          'REACHABLE',
          'BLOCKED',
          'AGE',
        ])
        expect(rows[0]).toMatchObject({
          CATEGORY: 'access-points',
          TARGET: 'access-points-24.10.8',
          UPTODATE: 'True',
          REACHABLE: 'True',
          BLOCKED: '',
          AGE: expect.stringMatching(/^\d+m?\d*s?$/),
        })
      })

      test('one, by its short name', async () => {
        expect(column(await read('get', 'dev', 'ap-002'), 'NAME')).toEqual(['ap-002'])
        expect(column(await read('get', 'dev/ap-002', 'dev/ap-004'), 'NAME')).toEqual(['ap-002', 'ap-004'])
      })

      test('of all namespaces', async () => {
        const rows = tableOf(await read('get', 'categories', '-A'))
        expect(rows.map((row) => `${row['NAMESPACE']}/${row['NAME']}`)).toEqual([
          'default/access-points',
          'lab/cameras',
        ])
        expect(column(await read('get', 'cat', '-n', 'lab'), 'NAME')).toEqual(['cameras'])
      })

      test('wide', async () => {
        const [row] = tableOf(await read('get', 'devices', '-o', 'wide'))
        expect(row).toMatchObject({
          ADDRESS: fleet.addresses[0]!.address,
          SEEN: expect.stringMatching(/^\d+/),
        })
      })

      test('as YAML and JSON, whole', async () => {
        const yaml = await read('get', 'device', 'ap-001', '-o', 'yaml')
        expect(yaml).toMatch(/^apiVersion: reflash\.dev\/v1alpha1\nkind: Device\n/)
        const list = JSON.parse(await read('get', 'devices', '-o', 'json')) as {
          kind: string
          items: { status: object }[]
        }
        expect([list.kind, list.items.length]).toEqual(['List', devices.length])
        expect(list.items[0]!.status).toMatchObject({ osIdentifier: expect.stringContaining('24.10.8') })
      })

      test('by template', async () => {
        expect(await read('get', 'devices', '-o', 'jsonpath={.items[*].metadata.name}')).toBe(
          devices.join(' '),
        )
        const columns = 'custom-columns=WHO:.metadata.name,SITE:.metadata.labels.site'
        expect(tableOf(await read('get', 'devices', '-o', columns))[0]).toEqual({
          WHO: 'ap-001',
          SITE: 'site-0',
        })
        expect(await read('get', 'devices', '-o', 'name')).toBe(
          devices.map((name) => `device.reflash.dev/${name}\n`).join(''),
        )
      })

      test('selected by labels and fields', async () => {
        expect(column(await read('get', 'devices', '-l', 'site=site-0,!tier'), 'NAME')).toEqual(devices)
        expect(column(await read('get', 'cat', '-A', '-l', 'tier in (lab, attic)'), 'NAME')).toEqual([
          'cameras',
        ])
        expect(
          column(await read('get', 'devices', '--field-selector', 'metadata.name=ap-003'), 'NAME'),
        ).toEqual(['ap-003'])
        const nothing = await run('get', 'devices', '-l', 'site=nowhere')
        expect(nothing).toMatchObject({
          code: 0,
          stdout: '',
          stderr: 'No resources found in default namespace.\n',
        })
      })

      test('sorted, in chunks, and with labels', async () => {
        const byAddress = await read('get', 'devices', '--sort-by=.metadata.name', '--show-labels')
        expect(tableOf(byAddress).map((row) => [row['NAME'], row['LABELS']])).toEqual(
          devices.map((name) => [name, 'site=site-0']),
        )
        expect(column(await read('get', 'devices', '--chunk-size=2'), 'NAME')).toEqual(devices)
        expect(column(await read('get', 'devices', '-L', 'site'), 'SITE')).toEqual(
          devices.map(() => 'site-0'),
        )
      })

      test('several kinds at once, by list and by category', async () => {
        const both = await read('get', 'devices,upgradeoperations')
        expect(both).toMatch(/^device\.reflash\.dev\/ap-001 /m)
        expect(both).toMatch(/^upgradeoperation\.reflash\.dev\/ap-001-/m)
        const all = await read('get', 'reflash')
        for (const kind of [
          'build',
          'category',
          'device',
          'firmwareimage',
          'upgradeoperation',
          'upgradepolicy',
        ]) {
          expect(all).toMatch(new RegExp(`^${kind}\\.reflash\\.dev/`, 'm'))
        }
      })

      test('namespaces, and a raw path', async () => {
        expect(tableOf(await read('get', 'namespaces'))).toMatchObject([
          { NAME: 'default', STATUS: 'Active' },
          { NAME: 'lab', STATUS: 'Active' },
        ])
        expect(
          JSON.parse(await read('get', '--raw', `${api}/namespaces/default/devices/ap-001`)),
        ).toMatchObject({ kind: 'Device' })
        expect(await read('get', '--raw', '/livez')).toMatch(/^ok/)
      })

      test('says what is not there', async () => {
        expect(await run('get', 'device', 'ap-999')).toMatchObject({
          code: 1,
          stderr: 'Error from server (NotFound): devices.reflash.dev "ap-999" not found\n',
        })
        expect(await run('get', 'device', 'ap-001', '-n', 'nowhere')).toMatchObject({
          code: 1,
          stderr: 'Error from server (NotFound): namespaces "nowhere" not found\n',
        })
        expect((await run('get', 'pods')).stderr).toContain(`the server doesn't have a resource type "pods"`)
      })
    })

    describe('get --watch', () => {
      /** Gives a device a note that shows in what is watched. */
      const note = (index: number, text: string): Promise<void> =>
        fleet.writeDevice(index, { hold: { reason: text } })
      const columns = 'custom-columns=NAME:.metadata.name,HOLD:.spec.hold.reason'

      test('shows each change at once', async () => {
        const times = await watchRaw(`${server}${api}/devices?watch=true`)
        const table = follow('get', 'devices', '--watch', '--output-watch-events')
        const held = follow('get', 'devices', '--watch-only', '-o', columns)
        const one = follow('get', 'device', 'ap-002', '--watch', '-o', columns)
        await table.line(/^ADDED\s+ap-005/)
        await one.line(/^ap-002/)
        for (const text of [`first-${version}`, `second-${version}`]) {
          await note(1, text)
          const atMs = await times.until(text)
          await Promise.all([held.line(new RegExp(text)), one.line(new RegExp(text))])
          expect(performance.now() - atMs).toBeLessThan(promptMs)
        }
        await table.line(/^MODIFIED\s+ap-002/)
        await fleet.writeDevice(1)
      })

      test('shows what comes and goes', async () => {
        const changes = follow('get', 'categories', '--watch', '--output-watch-events', '-A')
        await changes.line(/^ADDED\s+lab\s+cameras/)
        await fleet.write('lab.yaml', labText.replaceAll('cameras', 'meters'))
        await changes.line(/^ADDED\s+lab\s+meters/)
        await changes.line(/^DELETED\s+lab\s+cameras/)
        await fleet.write('lab.yaml', labText)
        await changes.line(/^DELETED\s+lab\s+meters/)
      })
    })

    describe('describe and events', () => {
      test('describe shows the object with its events', async () => {
        const text = await read('describe', 'device', 'ap-001')
        expect(text).toMatch(/^Name:\s+ap-001$/m)
        expect(text).toMatch(/^Kind:\s+Device$/m)
        expect(text).toMatch(/^Events:\n\s+Type\s+Reason\s+Age\s+From\s+Message$/m)
        expect(text).toMatch(/^\s+Normal\s+UpgradeSucceeded\s+\S+( \(x\d+ over \S+\))?\s+reflash\s+\S/m)
      })

      test('events of all, and of one', async () => {
        expect(column(await read('get', 'events'), 'REASON')).toContain('UpgradeSucceeded')
        expect(column(await read('events'), 'REASON')).toContain('UpgradeSucceeded')
        const objects = column(await read('events', '--for', 'device/ap-003'), 'OBJECT')
        expect(new Set(objects)).toEqual(new Set(['Device/ap-003']))
        expect(
          column(await read('get', 'events', '--field-selector', 'reason=UpgradeSucceeded'), 'REASON'),
        ).not.toContain('Flashing')
      })
    })

    test('is warned while all starts are stopped', async () => {
      await writeFile(`${fleet.state}.HALT`, '')
      onTestFinished(() => rm(`${fleet.state}.HALT`))
      const { code, stderr } = await run('get', 'devices,upgradepolicies')
      expect(code).toBe(0)
      expect(stderr).toBe(
        `Warning: nothing starts: ${fleet.state}.HALT exists; remove it to allow starts again\n`,
      )
    })

    describe('wait', () => {
      test('returns when it is so already', async () => {
        expect(await read('wait', '--for=condition=Ready', 'device/ap-001', '--timeout=5s')).toBe(
          'device.reflash.dev/ap-001 condition met\n',
        )
        await read('wait', '--for=jsonpath={.status.phase}=Succeeded', 'uop', '--all', '--timeout=5s')
      })

      test('returns when it becomes so', async () => {
        const held = run(
          'wait',
          `--for=jsonpath={.spec.hold.reason}=${version}`,
          'device/ap-004',
          '--timeout=20s',
        )
        await fleet.writeDevice(3, { hold: { reason: version } })
        expect(await held).toMatchObject({ code: 0 })
        await fleet.writeDevice(3)
      })

      test('ends at its timeout', async () => {
        const { code, stderr } = await run('wait', '--for=delete', 'device/ap-001', '--timeout=1s')
        // Some say before it that their own deadline has cut the watch.
        expect([code, stderr.split('\n').at(-2)]).toEqual([
          1,
          'error: timed out waiting for the condition on devices/ap-001',
        ])
      })
    })

    describe('what there is', () => {
      test('api-resources and api-versions', async () => {
        expect(await read('api-versions')).toBe('reflash.dev/v1alpha1\nv1\n')
        const rows = tableOf(await read('api-resources', '--api-group=reflash.dev', '-o', 'wide'))
        expect(rows.find((row) => row['NAME'] === 'devices')).toMatchObject({
          SHORTNAMES: 'dev',
          APIVERSION: 'reflash.dev/v1alpha1',
          NAMESPACED: 'true',
          KIND: 'Device',
          VERBS: 'get,list,watch',
          CATEGORIES: 'reflash',
        })
        expect(rows).toHaveLength(6)
        expect(column(await read('api-resources', '--api-group='), 'NAME')).toEqual(['events', 'namespaces'])
      })

      test('explain', async () => {
        expect(await read('explain', 'device')).toMatch(
          /KIND: {7}Device[^]+One router\.[^]+spec\t<Object> -required-/,
        )
        const field = await read('explain', 'upgradepolicies.spec.state')
        expect(field).toMatch(/FIELD: state <string>[^]+ENUM:\n {4}Plan\n {4}Run\n {4}Pause\n {4}Abort/)
        const whole = await read('explain', 'dev', '--recursive')
        expect(whole).toMatch(
          / {2}metadata\t<ObjectMeta>\n[^]+ {2}spec\t<Object> -required-\n {4}addresses\t<\[\]string>/,
        )
        expect((await run('explain', 'device.spec.nonsense')).stderr).toContain(
          'field "nonsense" does not exist',
        )
      })

      test('version', async () => {
        expect((await run('version')).stdout).toMatch(/^Server Version: v1\.\d+\.0\+reflash-\d+\.\d+\.\d+$/m)
      })
    })

    describe('a change is refused', () => {
      const refusal = /is not allowed: this API is read only; edit the manifests/
      let manifest: string
      beforeAll(async () => {
        manifest = join(fleet.folder, 'manifest.yaml')
        await writeFile(manifest, labText.replaceAll('cameras', 'doorbells'))
      })

      test.each<[string, (file: string) => string[]]>([
        ['apply', (file) => ['apply', '-f', file]],
        ['apply of what is there', () => ['apply', '-f', join(fleet.directory, 'lab.yaml')]],
        ['apply --server-side', (file) => ['apply', '--server-side', '-f', file]],
        ['create', (file) => ['create', '-f', file]],
        ['replace', () => ['replace', '-f', join(fleet.directory, 'lab.yaml')]],
        ['delete', () => ['delete', 'device', 'ap-001', '--wait=false']],
        ['delete --all', () => ['delete', 'devices', '--all', '--wait=false']],
        ['label', () => ['label', 'device', 'ap-001', 'site=attic', '--overwrite']],
        ['annotate', () => ['annotate', 'device', 'ap-001', 'note=x']],
        ['patch', () => ['patch', 'device', 'ap-001', '--type=merge', '-p', '{"spec":{"port":23}}']],
        [
          'patch --subresource',
          () => ['patch', 'device', 'ap-001', '--subresource=status', '--type=merge', '-p', '{"status":{}}'],
        ],
        ['edit', () => ['edit', 'category', 'cameras', '-n', 'lab']],
        ['scale', () => ['scale', 'upol/access-points', '--replicas=0']],
        ['create namespace', () => ['create', 'namespace', 'attic']],
      ])('%s', async (_, args) => {
        const before = await snapshot(server)
        const { code, stdout, stderr } = await run(...args(manifest))
        expect(code).not.toBe(0)
        expect(stderr + stdout).toMatch(refusal)
        expect(await snapshot(server)).toEqual(before)
      })
    })
  })
})

const labText = `apiVersion: reflash.dev/v1alpha1
kind: Category
metadata: {name: cameras, namespace: lab, labels: {tier: lab}}
spec: {description: For the operator}
`

/** Names and generations of all that an operator declares; status moves by itself. */
async function snapshot(server: string): Promise<unknown> {
  const lists = ['devices', 'categories', 'upgradepolicies'].map(async (plural) => {
    const list = (await (await fetch(`${server}${api}/${plural}`)).json()) as {
      items: { metadata: Record<string, unknown>; spec: unknown }[]
    }
    return list.items.map(({ metadata, spec }) => [
      metadata['uid'],
      metadata['generation'],
      metadata['labels'],
      metadata['annotations'],
      spec,
    ])
  })
  return Promise.all(lists)
}

/** Watches without kubectl and without compression, to know when a change was there to be seen. */
async function watchRaw(url: string): Promise<{ until(text: string): Promise<number> }> {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const response = await fetch(url, { headers: { 'Accept-Encoding': 'identity' }, signal: stop.signal })
  const chunks: { text: string; atMs: number }[] = []
  void (async () => {
    const decoder = new TextDecoder()
    for await (const bytes of response.body!) {
      chunks.push({ text: decoder.decode(bytes, { stream: true }), atMs: performance.now() })
    }
  })().catch(() => undefined)
  return {
    until: async (text) => {
      const found = await until(`a change with ${text}`, () =>
        chunks.find((chunk) => chunk.text.includes(text)),
      )
      return found.atMs
    },
  }
}
