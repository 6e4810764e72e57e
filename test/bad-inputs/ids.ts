/** Thirty kinds of bad input: tests carry these ids in their names. */
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
  B18: 'names that steer a terminal, or are as long as can be',
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

/** What needs virtual time, no network, or minutes of a machine is proved where its parts are tested. */
export const elsewhere: readonly [id: BadInput, file: string, test: string][] = [
  ['B1', 'test/files/directory-source.test.ts', 'never takes up a file that changes between two looks'],
  ['B1', 'test/files/directory-source.test.ts', 'waits while git writes, says so after half a minute'],
  ['B2', 'test/cluster/spec-rows.ts', 'a version that is a number'],
  ['B3', 'test/cluster/manifest-table.ts', 'an unknown field'],
  ['B4', 'test/cluster/manifest-table.ts', 'null for a map of defaults'],
  ['B7', 'test/files/scan.test.ts', 'refuses a directory of more than 20,000 files as a whole'],
  ['B8', 'test/cluster/spec-rows.ts', 'none at once'],
  ['B12', 'test/controllers/scenarios.test.ts', 'a Secret and a Category, both before the next probe'],
  ['B17', 'test/files/directory-source.test.ts', 'or folder that may not be read keeps its objects'],
  ['B19', 'test/images/image-download.test.ts', 'is checked anew after each redirect and each resolution'],
  ['B19', 'test/images/image-download.test.ts', 'ends at the deadline, however steadily bytes drip in'],
  ['B20', 'test/images/image-metadata.test.ts', 'is right or refuses after the file was cut at any byte'],
  ['B20', 'test/images/image-metadata.test.ts', 'metadata of 31 KiB'],
  ['B20', 'test/images/image-metadata.test.ts', 'two metadata chunks'],
  [
    'B24',
    'test/controllers/scenarios.test.ts',
    'in mid-flight ends its flash, then goes, and its pins return with it',
  ],
  ['B26', 'test/cli/broken-fleet.test.ts', 'wrote more than 65536 bytes to stdout'],
  ['B28', 'test/stores/start-up.test.ts', 'is on a network'],
  ['B29', 'test/server/any-request.test.ts', 'requests'],
  [
    'B30',
    'test/cli/living-run.test.ts',
    'starts nothing while HALT is there, says why, and goes on when it is gone',
  ],
]
