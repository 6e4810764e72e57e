import { describe, expect, test } from 'vitest'
import { fullAccess, type Access } from '../../src/server/access.ts'
import type { ApiObject, Collection } from '../../src/server/collection.ts'
import { createRedaction } from '../../src/server/redaction.ts'

const plain: Access = { ...fullAccess, sensitive: false }
const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFPnqQ4vOcWxgHbUmBKHJbtAsb0cCjZzkNwa4fHzjRIe'
const metadata = (name: string) => ({ name, namespace: 'default', resourceVersion: '1' })

const device = (message: string): ApiObject => ({
  apiVersion: 'reflash.dev/v1alpha1',
  kind: 'Device',
  metadata: { ...metadata('ap-1'), annotations: { note: 'found "198.51.100.7" at AP.example.org' } },
  spec: {
    categoryRef: { name: 'c' },
    addresses: ['ap.example.org', '192.0.2.7', '2001:db8::7'],
    port: 22,
    hostKeys: [hostKey],
    jumpHost: { address: 'jump', port: 2222, credentialsRef: { name: 'j' }, hostKeys: [hostKey] },
  },
  status: {
    identity: '60:e3:27:aa:bb:cc,SN-4711',
    hostKeys: [hostKey],
    lastProbeTime: '2026-11-25T06:26:25Z',
    release: { version: '24.10.8', revision: 'r29087-d9c5716d1d' },
    conditions: [{ type: 'Reachable', message }],
  },
})
const operation: ApiObject = {
  apiVersion: 'reflash.dev/v1alpha1',
  kind: 'UpgradeOperation',
  metadata: metadata('op-1'),
  spec: { deviceRef: { name: 'ap-1' } },
  status: {
    message: 'ap.example.org: timed out',
    log: ['connected to 192.0.2.7', 'SN-4711 instead of SN-0815'],
    identityBefore: 'SN-0815',
  },
}
const collectionOf = (...objects: ApiObject[]): Collection => ({
  info: {} as Collection['info'],
  version: () => 1,
  list: () => objects,
  get: ({ name }) => objects.find((object) => object.metadata.name === name),
  since: () => [],
  onChange: () => () => {},
})
const redaction = createRedaction(collectionOf(device('')), collectionOf(operation))
const shown = (object: ApiObject): ApiObject => redaction.show(object, plain)

describe('for who may see everything', () => {
  test('objects are the very same', () => {
    for (const object of [device('ap.example.org'), operation])
      expect(redaction.show(object, fullAccess)).toBe(object)
    expect(redaction.text('192.0.2.7', { namespace: 'default', name: 'ap-1' }, fullAccess)).toBe('192.0.2.7')
  })
})

describe('for others', () => {
  test('a device keeps everything but where it is and how it is known', () => {
    const before = device('answers')
    const copy = structuredClone(before)
    expect(shown(before)).toEqual({
      apiVersion: 'reflash.dev/v1alpha1',
      kind: 'Device',
      metadata: { ...metadata('ap-1'), annotations: { note: 'found "<address>" at <address>' } },
      spec: { categoryRef: { name: 'c' }, port: 22, jumpHost: { port: 2222, credentialsRef: { name: 'j' } } },
      status: {
        lastProbeTime: '2026-11-25T06:26:25Z',
        release: { version: '24.10.8', revision: 'r29087-d9c5716d1d' },
        conditions: [{ type: 'Reachable', message: 'answers' }],
      },
    })
    expect(before).toEqual(copy)
  })

  test.each([
    ['ap.example.org: timed out', '<address>: timed out'],
    ['AP.EXAMPLE.ORG:22: refused.', '<address>:22: refused.'],
    ['(ap.example.org), "ap.example.org".', '(<address>), "<address>".'],
    ['192.0.2.7:22 refused', '<address>:22 refused'],
    ['[2001:db8::7]:22 refused', '[<address>]:22 refused'],
    ['2001:db8::7: no route', '<address>: no route'],
    ['via jump', 'via <address>'],
    ['jumping is no jump-start', 'jumping is no jump-start'],
    [
      'another device answers at 192.0.2.7: 60:e3:27:00:11:22 instead of 60:e3:27:aa:bb:cc',
      'another device answers at <address>: <identity> instead of <identity>',
    ],
    ['serial SN-4711', 'serial <identity>'],
    ['also 198.51.100.9 and fe80::1%eth0', 'also <address> and <address>%eth0'],
    [`host key ${hostKey} is new`, 'host key <key> is new'],
    [`host key SHA256:${'aB3+/'.repeat(8)}xyz is new`, 'host key <key> is new'],
    [
      'expected back by 06:26:25, on 2026-11-25T06:26:25.123Z',
      'expected back by 06:26:25, on 2026-11-25T06:26:25.123Z',
    ],
    ['runs 24.10.8, kernel 6.6.93, 1:2', 'runs 24.10.8, kernel 6.6.93, 1:2'],
  ])('%s', (message, expected) => {
    const { status } = shown(device(message)) as unknown as { status: { conditions: { message: string }[] } }
    expect(status.conditions[0]!.message).toBe(expected)
    expect(redaction.text(message, { namespace: 'default', name: 'ap-1' }, plain)).toBe(expected)
  })

  test('an operation says nothing of the addresses of its device, nor who it was', () => {
    expect(shown(operation)['status']).toEqual({
      message: '<address>: timed out',
      log: ['connected to <address>', '<identity> instead of <identity>'],
    })
  })

  test.each([
    ['Device', 'ap-1'],
    ['UpgradeOperation', 'op-1'],
  ])('nor an event of a %s', (kind, name) => {
    const event: ApiObject = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: metadata('e'),
      involvedObject: { kind, namespace: 'default', name },
      message: 'ap.example.org refused SN-4711',
    }
    expect(shown(event)['message']).toBe('<address> refused <identity>')
  })

  test('nor a policy that tells of its failures', () => {
    const policy: ApiObject = {
      apiVersion: 'reflash.dev/v1alpha1',
      kind: 'UpgradePolicy',
      metadata: metadata('p'),
      spec: {},
      status: {
        conditions: [{ message: '203.0.113.5 is lost' }],
        topFailures: [{ device: 'ap-1', message: 'ap.example.org is lost' }],
      },
    }
    expect(shown(policy)['status']).toEqual({
      conditions: [{ message: '<address> is lost' }],
      topFailures: [{ device: 'ap-1', message: '<address> is lost' }],
    })
  })

  test('of a device that is gone, addresses in figures are hidden still', () => {
    const text = redaction.text('198.51.100.9 is gone', { namespace: 'default', name: 'gone' }, plain)
    expect(text).toBe('<address> is gone')
  })

  test.each([
    '-'.repeat(20_000),
    ':'.repeat(20_000),
    'a'.repeat(20_000),
    '1.'.repeat(10_000),
    'a:'.repeat(10_000),
  ])('long runs take no time: %.5s', (text) => {
    const startedMs = performance.now()
    redaction.text(text, { namespace: 'default', name: 'ap-1' }, plain)
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })
})
