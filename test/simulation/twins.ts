/** I17 and I19: two pasts of one seed, which differ in one thing. */
import { startsOf, type Past } from './past.ts'

/** What a world has come to, attempts and times apart. */
const endOf = ({ rest, routers }: Past): string[] => [
  ...routers.map((router) => {
    const boots = router.history.filter((event) => event.type === 'Booted')
    return `${router.name} runs ${boots.at(-1)?.release.revision}`
  }),
  ...rest.devices.map(
    ({ metadata, status }) =>
      `${metadata.name} is said to run ${status.buildRef?.name}, and waits for ${status.blocked?.reason}`,
  ),
  ...rest.operations.map(
    ({ spec, status }) =>
      `${spec.deviceRef.name} was brought to ${spec.buildRef?.name}: ${status.phase} ${status.failureClass}`,
  ),
  `counts: ${JSON.stringify(rest.policy.status.counts)}`,
]

/** What one of them has more often than the other. */
function* differences(
  without: readonly string[],
  withIt: readonly string[],
  what: string,
): Generator<string> {
  for (const line of surplus(without, withIt)) yield `without ${what}: ${line}`
  for (const line of surplus(withIt, without)) yield `with ${what}: ${line}`
}

/** Lines of the first that have no counterpart of their own in the second. */
function surplus(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others]
  return lines.filter((line) => {
    const index = left.indexOf(line)
    if (index >= 0) left.splice(index, 1)
    return index < 0
  })
}

export const judgeSameEnd = (withCrashes: Past, without: Past): Iterable<string> =>
  differences(endOf(without), endOf(withCrashes), 'crashes')

export function judgeIsolation(withBad: Past, without: Past): Iterable<string> {
  const shared = new Set(without.routers.map(({ name }) => name))
  const lines = ({ routers }: Past): string[] =>
    routers
      .filter(({ name }) => shared.has(name))
      .flatMap((router) =>
        startsOf(router).map(({ order }) => `${router.name} was started with ${order.sha256}`),
      )
  return differences(lines(without), lines(withBad), 'a bad object')
}
