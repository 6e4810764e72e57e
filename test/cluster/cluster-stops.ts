import { expect } from 'vitest'
import { haltAnnotation } from '../../src/adapters/kubernetes/namespace-brake.ts'
import type { UpgradeOperation, UpgradePolicySpec } from '../../src/api/resources.ts'
import { isFinished, phaseOf } from '../../src/core/operation.ts'
import type { BlockedReason } from '../../src/core/reasons.ts'
import { endsWell } from '../crash/running.ts'
import { latestStartMs, type Stop, type StopName } from '../crash/stops.ts'
import { until } from '../support/until.ts'
import type { ClusterWorld } from './cluster-world.ts'

const limitMs = 90_000
/** Whoever waits for the end of HALT has looked again by then. */
const lookedAgainMs = latestStartMs + 1000

/** The leader lives on, and does nothing more but what was under way: an operation that is left has this reason to wait. */
const whileLeading =
  (reason?: BlockedReason): Stop<ClusterWorld>['rests'] =>
  async (world, held, sinceMs) => {
    const waits = (operation: UpgradeOperation): boolean =>
      ['Queued', 'Testing'].includes(phaseOf(operation)) && operation.status.reason === reason
    const rests = async (): Promise<boolean> => {
      if (performance.now() - sinceMs < lookedAgainMs) return false
      const { operations } = await world.resources()
      return operations.every((operation) => isFinished(operation) || (reason && waits(operation)))
    }
    await until('nothing under way', rests, limitMs, 200).catch(async (error: Error) => {
      const { operations } = await world.resources()
      const statuses = operations.map(({ status }) => JSON.stringify(status))
      throw new Error([error.message, ...statuses].join('\n'))
    })
    expect(held.isOver()).toBe(false)
  }

/** The time is that at which the API server has taken it: that the controller hears of it later is part of the promise. */
const byPolicy = (
  state: NonNullable<UpgradePolicySpec['state']>,
  reason?: BlockedReason,
): Stop<ClusterWorld> => ({
  begin: async (world) => {
    await world.steer({ state })
    return performance.now()
  },
  rests: whileLeading(reason),
  end: (world) => world.steer({}),
})

export const clusterStops: Record<StopName, Stop<ClusterWorld>> = {
  HALT: {
    begin: async (world) => {
      await world.annotate(haltAnnotation, 'the storm')
      return performance.now()
    },
    rests: whileLeading('Halted'),
    end: (world) => world.annotate(haltAnnotation, null),
  },
  Pause: byPolicy('Pause', 'PolicyPaused'),
  // What has not begun its flash is cancelled.
  Abort: byPolicy('Abort'),
  SIGTERM: {
    begin: async (_, { child }) => {
      expect(child.kill('SIGTERM')).toBe(true)
      return performance.now()
    },
    // Once it has ended the standby may start what it likes.
    rests: async (_, held) => {
      const { lines } = await endsWell(held, limitMs)
      expect(lines.at(-1)).toEqual({ ended: 'Stopped' })
    },
    end: async () => {},
  },
}
