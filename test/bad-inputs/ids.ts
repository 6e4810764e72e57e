/** Thirty kinds of bad input, and what each of them is: tests carry these ids in their names. */
export const badInputs = {
  B1: 'a file that was cut at any byte',
  B2: 'a version that YAML reads as a number',
  B3: 'an unknown field',
  B4: 'null, or an empty value, where a map belongs',
  B5: 'a key twice in one map',
  B6: 'an object that is declared twice',
  B7: 'what is too large, too deep or too many',
  B8: 'a limit out of its range, or of another type',
  B9: 'a maintenance window that cannot be',
  B10: 'a policy that selects nothing',
  B11: 'two policies of equal priority for one device',
  B12: 'a reference to what is not there',
  B13: 'references in a circle',
  B14: 'two devices at one address',
  B15: 'an image path that leads out',
  B16: 'symbolic links that lead out, to themselves, or nowhere',
  B17: 'what is no regular file',
  B18: 'names that steer a terminal, or are too long',
  B19: 'URLs that images must not come from, and servers that misbehave',
  B20: 'files that are no image',
  B21: 'digests that are wrong',
  B22: 'a revision that is older than one before',
  B23: 'an approval that does not count',
  B24: 'a revision that removes most devices',
  B25: 'keys that are none',
  B26: 'routers that say what they should not',
  B27: 'routers that come back late, changed, or not yet gone',
  B28: 'state files that cannot be used',
  B29: 'requests that are refused',
  B30: 'clocks that are wrong, and starts that are stopped',
} as const

export type BadInput = keyof typeof badInputs

/** What does not exist yet cannot be given a bad input. */
export const notYet: Partial<Record<BadInput, string>> = {
  B9: 'policies have no windows',
  B13: 'devices have no uplinks, and builds no paths',
  B22: 'revisions carry no sequence',
  B23: 'policies ask for no approval',
}
