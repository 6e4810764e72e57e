/** What one request may ask for; connections and watches have flags. docs/api.md tells of these. */
export const limits = {
  /** Longer than any that means something: a selector of 20 terms is below 3,000. */
  urlCharacters: 4096,
  queryParameters: 32,
  selectorTerms: 20,
  headerFields: 64,
  headerBytes: 16 * 1024,
  /** Objects on a page. */
  page: 500,
  watchMs: 10 * 60_000,
  /** A reader that takes nothing for so long is cut off. */
  drainMs: 10_000,
} as const
