/** Reads and writes times as resources carry them; it never asks what time it is. */

/** RFC 3339 text to ms since 1970. */
export const toMs = (time: string): number => Date.parse(time)

/** ms since 1970 to RFC 3339 text with milliseconds. */
export const toTime = (ms: number): string => new Date(ms).toISOString()
