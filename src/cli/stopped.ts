/** Waits for something that goes on until it is stopped: being stopped is then no failure. */
export async function untilStopped(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error
  }
}
