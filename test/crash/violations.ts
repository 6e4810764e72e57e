/** Counts what went wrong: the plays that did not get to their end. */
export function countViolations() {
  let count = 0
  return {
    counted: async (play: () => Promise<void>): Promise<void> => {
      count += 1
      await play()
      count -= 1
    },
    violations: (): number => count,
  }
}
