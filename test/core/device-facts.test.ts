import { describe, expect, test } from 'vitest'
import { getCondition } from '../../src/core/conditions.ts'
import { withFailedProbe, withProbe } from '../../src/core/device-facts.ts'
import type { Probe } from '../../src/core/probe.ts'
import { at, condition, device, digest, now } from '../support/core-objects.ts'

const probe: Probe = {
  osIdentifier: 'Toy 2.0.0',
  release: { revision: 'r2', version: '2.0.0' },
  board: 'toy',
  bootId: 'boot-2',
  uptimeSeconds: 5,
  identity: '02:00:00:00:00:01',
  upgrading: false,
}
const seen = { hostKeys: ['ssh-ed25519 AAAA', 'ssh-rsa BBBB'], now, nextProbeMs: 900_000 }

describe('a probe that answered', () => {
  test('replaces what was known, and forgets what it does not say', () => {
    const before = device(
      {},
      { model: 'Toy 1', failedProbes: 3, lastFlash: { operation: 'x', sha256: digest, bootId: 'b' } },
    )
    const status = withProbe(before, probe, seen)
    expect(status).toMatchObject({
      osIdentifier: 'Toy 2.0.0',
      bootId: 'boot-2',
      model: 'Toy 1',
      lastProbeTime: at(now),
      nextProbeTime: at(now + 900_000),
    })
    expect([status.failedProbes, status.lastFlash]).toEqual([undefined, undefined])
    expect(getCondition(status.conditions, 'Reachable')).toMatchObject({ status: 'True', reason: 'Answered' })
  })
  test('pins every key at first sight, and only then', () => {
    expect(withProbe(device(), probe, seen).hostKeys).toEqual(seen.hostKeys)
    expect(withProbe(device({}, { hostKeys: ['ssh-ed25519 CCCC'] }), probe, seen).hostKeys).toEqual([
      'ssh-ed25519 CCCC',
    ])
    expect(withProbe(device({ hostKeys: ['ssh-ed25519 CCCC'] }), probe, seen).hostKeys).toBeUndefined()
  })
  test('that shows no key pins none, and the next one does', () => {
    const status = withProbe(device(), probe, { ...seen, hostKeys: [] })
    expect(status.hostKeys).toBeUndefined()
    expect(withProbe(device({}, status), probe, seen).hostKeys).toEqual(seen.hostKeys)
  })
  test('ends what a person was needed for', () => {
    const stalled = device({}, { conditions: [condition('Stalled', 'AuthFailed')] })
    expect(getCondition(withProbe(stalled, probe, seen).conditions, 'Stalled')).toBeUndefined()
  })
})

describe('a probe that failed', () => {
  test('leaves what was known, says Unknown, and counts', () => {
    const before = device({}, { failedProbes: 1 })
    const status = withFailedProbe(before, { message: 'no route' }, { now, nextProbeMs: 600_000 })
    expect(status).toMatchObject({
      bootId: 'boot-1',
      failedProbes: 2,
      lastProbeTime: before.status.lastProbeTime,
      nextProbeTime: at(now + 600_000),
    })
    expect(getCondition(status.conditions, 'Reachable')).toMatchObject({
      status: 'Unknown',
      reason: 'NotAnswering',
      message: 'no route',
    })
    expect(getCondition(status.conditions, 'Stalled')).toBeUndefined()
  })
  test.each(['AuthFailed', 'HostKeyChanged', 'IdentityChanged', 'Unsupported'] as const)(
    'with %s needs a person',
    (stalled) => {
      const status = withFailedProbe(device(), { message: 'x', stalled }, { now, nextProbeMs: 1 })
      expect(getCondition(status.conditions, 'Stalled')).toMatchObject({ status: 'True', reason: stalled })
    },
  )
  test('of a device that only went dark keeps what a person was needed for', () => {
    const stalled = device({}, { conditions: [condition('Stalled', 'HostKeyChanged')] })
    const status = withFailedProbe(stalled, { message: 'no route' }, { now, nextProbeMs: 1 })
    expect(getCondition(status.conditions, 'Stalled')?.reason).toBe('HostKeyChanged')
  })
})
