import { appendFileSync } from 'node:fs'

/** One line of the table that the nightly run prints, and writes into `docs/figures.md`. */
export interface Figure {
  /** The suite by the name that `npm run nightly` gives it. */
  suite: string
  name: string
  value: number
  unit?: string
  /** What the value must be, in words: a figure without one is for information. */
  goal?: string
}

/** Hands a figure to the nightly run; outside of it nobody listens. Failing is up to the test that measured it. */
export function recordFigure(figure: Figure): void {
  const file = process.env['REFLASH_FIGURES']
  if (file) appendFileSync(file, `${JSON.stringify(figure)}\n`)
}
