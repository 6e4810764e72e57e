import type { Machine } from './machine.ts'

/** A lock outlives the latest uptime of its start by this, so that no start is on its way any more. */
export const lockGraceSeconds = 60

/** Whether a start holds the lock of the device. */
export const isLocked = (machine: Machine): boolean => {
  const { lock } = machine.state
  return lock !== undefined && Math.floor(machine.uptimeSeconds()) <= lock.voidAfterSeconds
}

/** Whether a script that touches the image or the marker may: nothing is being started, and nothing runs. */
export const mayTouch = (machine: Machine): boolean =>
  !isLocked(machine) && machine.state.upgrading === undefined
