/** Files of the kernel, or of its judges, and the tests that have to notice whatever changes in them. Both by path from the root. */
export interface Group {
  files: readonly string[]
  tests: readonly string[]
}

const core = (...names: string[]): string[] => names.map((name) => `src/core/${name}.ts`)
const testsOf = (folder: string, ...names: string[]): string[] =>
  names.map((name) => `test/${folder}/${name}.test.ts`)

/** What decides whether a router is flashed, with what, and what became of it. */
export const groups: Readonly<Record<string, Group>> = {
  admission: {
    files: core('admit', 'assess', 'match', 'names'),
    tests: testsOf('core', 'admit', 'admit-edges', 'assess', 'match', 'names'),
  },
  operation: {
    files: core('operation', 'transitions', 'verdict', 'backoff', 'identity'),
    tests: testsOf('core', 'operation', 'transitions', 'verdict', 'backoff', 'same-value'),
  },
  limits: {
    files: [...core('start-rate', 'duration'), 'src/controllers/governor.ts'],
    tests: [...testsOf('core', 'start-rate', 'duration'), ...testsOf('controllers', 'governor')],
  },
  words: {
    files: core('versions', 'selector', 'shell-quote'),
    tests: testsOf('core', 'versions', 'selector', 'shell-quote'),
  },
  image: {
    files: [
      'src/upgraders/openwrt/image-metadata.ts',
      'src/upgraders/openwrt/metadata-json.ts',
      ...core('image-readiness'),
    ],
    tests: testsOf('images', 'image-metadata', 'image-readiness'),
  },
  guard: {
    files: ['checks', 'guard', 'openwrt', 'answer'].map((name) => `src/upgraders/openwrt/${name}.ts`),
    tests: testsOf('upgraders', 'checks', 'guard-answer', 'conversation', 'messages', 'probe'),
  },
  /** Worlds are judged by these, which forged pasts judge in turn. */
  invariants: {
    files: [
      'invariants',
      'at-rest',
      'stops',
      'twins',
      'quiet',
      'history',
      'settling',
      'endings',
      'services',
    ].map((name) => `test/simulation/${name}.ts`),
    tests: testsOf(
      'simulation',
      'invariants',
      'put-back',
      'at-rest',
      'history',
      'settling',
      'endings',
      'lifted',
      'services',
    ),
  },
}
