import type { FailureClass, Phase } from '../api/resources.ts'

/** Every move that an operation may make. The docs and the tests read this table. */
export const transitions: Record<Phase, readonly Phase[]> = {
  Queued: ['Connecting', 'Failed', 'Cancelled'],
  Connecting: ['Queued', 'Checking', 'Failed', 'Cancelled'],
  Checking: ['Queued', 'Connecting', 'Uploading', 'Succeeded', 'Failed', 'Cancelled'],
  Uploading: ['Queued', 'Connecting', 'Testing', 'Failed', 'Cancelled'],
  Testing: ['Queued', 'Connecting', 'Flashing', 'Failed', 'Cancelled'],
  // Back to Queued only with proof that nothing was started.
  Flashing: ['Queued', 'Rebooting', 'Verifying', 'Succeeded', 'Failed'],
  Rebooting: ['Queued', 'Verifying', 'Succeeded', 'Failed'],
  Verifying: ['Succeeded', 'Failed'],
  Succeeded: [],
  Failed: [],
  Cancelled: [],
}

/** Whether the move is allowed. Final phases stay, except that a device that was Lost may be seen again. */
export const canMove = (from: Phase, to: Phase, failureClass?: FailureClass): boolean =>
  transitions[from].includes(to) || (from === 'Failed' && failureClass === 'Lost' && to === 'Succeeded')
