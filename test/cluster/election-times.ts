import type { ElectionTimes } from '../../src/core/election.ts'

/** Short enough that a takeover is not the longest part of a test, long enough for a leader on a busy machine. */
export const electionTimes: ElectionTimes = { durationMs: 10_000, renewDeadlineMs: 8000, retryMs: 1000 }
