/** Runs `work` to its end; that it rejects with the reason of its signal is an end like any other. */
export async function runUntilAborted(
  work: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await work(signal)
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error
  }
}
