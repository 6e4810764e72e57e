/** Every interleaving of two controllers over one operation and one device, until no new state appears. */
import { expect, test } from 'vitest'
import { recordFigure } from '../support/figures.ts'
import {
  firstState,
  isAtRest,
  keyOf,
  successors,
  Violation,
  type Omission,
  type State,
} from './operation-model.ts'

/** Far fewer would mean that something cannot happen any more which the model is there for. */
const leastStates = 200_000

interface Explored {
  states: number
  transitions: number
  violation?: Violation
  /** States from which nothing leads to rest. */
  trapped: number
}

/** Breadth first: a violation is one of the shortest. */
function explore(omitted?: Omission): Explored {
  const first = firstState()
  const ids = new Map([[keyOf(first), 0]])
  const resting: number[] = []
  const cameFrom: number[][] = [[]]
  let transitions = 0
  let frontier: [number, State][] = [[0, first]]
  while (frontier.length > 0) {
    const found: [number, State][] = []
    for (const [from, state] of frontier) {
      if (isAtRest(state)) resting.push(from)
      try {
        for (const next of successors(state, omitted)) {
          transitions += 1
          const key = keyOf(next)
          let id = ids.get(key)
          if (id === undefined) {
            id = ids.size
            ids.set(key, id)
            cameFrom.push([])
            found.push([id, next])
          }
          cameFrom[id]!.push(from)
        }
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        return { states: ids.size, transitions, violation: error, trapped: 0 }
      }
    }
    frontier = found
  }
  return { states: ids.size, transitions, trapped: ids.size - reached(resting, cameFrom) }
}

/** How many states lead to one of these. */
function reached(from: readonly number[], cameFrom: readonly number[][]): number {
  const seen = new Set(from)
  const open = [...from]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const before of cameFrom[id]!) {
      if (seen.has(before)) continue
      seen.add(before)
      open.push(before)
    }
  }
  return seen.size
}

test(
  'no order of events starts a device without its intent, twice at once, or flashes it twice',
  {
    timeout: 600_000,
  },
  () => {
    const { states, transitions, violation, trapped } = explore()
    expect(violation).toBeUndefined()
    expect(trapped, 'states that lead nowhere').toBe(0)
    process.stdout.write(`${states} states, ${transitions} transitions, no violation\n`)
    recordFigure({ suite: 'model', name: 'states', value: states, goal: `over ${leastStates}` })
    recordFigure({ suite: 'model', name: 'transitions', value: transitions })
    expect(states).toBeGreaterThan(leastStates)
  },
)

test.each([
  ['fence', 'an end is an end'],
  ['intent', 'an intent comes before its start'],
  ['guard boot', 'an intent comes before its start'],
  ['guard uptime', 'an intent comes before its start'],
] satisfies [Omission, string][])(
  'without its %s that would not hold',
  { timeout: 600_000 },
  (omitted, rule) => {
    expect(explore(omitted).violation?.rule).toBe(rule)
  },
)
