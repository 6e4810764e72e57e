import { describe, test } from 'vitest'
import { missingPrograms } from './programs.ts'

type Describe = (name: string, body: () => void) => void

/** `describe` for a suite that needs programs of the system. */
export const requires = (...programs: string[]): Describe => unlessMissing(missingPrograms(...programs))

/**
 * `describe` for a suite that this machine may lack something for: it then fails under CI, and elsewhere is skipped by
 * name with the reason.
 */
export function unlessMissing(missing: readonly string[]): Describe {
  const what = missing.join(', ')
  if (what === '') return (name, body) => void describe(name, body)
  // A body that is skipped would be run all the same, to learn of its tests, and may need what is missing.
  if (process.env['CI'] === undefined) return (name) => test.skip(`${name} (needs ${what})`)
  return (name) => {
    test(name, () => {
      throw new Error(`CI has to run this suite, but the machine lacks: ${what}`)
    })
  }
}
