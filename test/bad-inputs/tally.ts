import { afterAll } from 'vitest'
import { recordFigure } from '../support/figures.ts'

/** Counts the bad inputs of a group that were dealt with as they should be, and starts that should not have been. */
export interface Tally {
  noteCase(): void
  noteStarts(count: number): void
}

/** Hands out both figures when the tests of the file have ended. */
export function takeFigures(group: string, count: number): Tally {
  let [cases, starts] = [0, 0]
  afterAll(() => {
    const suite = 'bad-inputs'
    recordFigure({ suite, name: `cases, ${group}`, value: cases, goal: `${count} of ${count}` })
    recordFigure({ suite, name: `starts because of them, ${group}`, value: starts, goal: '0' })
  })
  return { noteCase: () => (cases += 1), noteStarts: (more) => (starts += more) }
}
