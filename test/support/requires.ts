import { describe, test } from 'vitest'
import { missingPrograms } from './programs.ts'

/**
 * `describe` for a suite that needs programs of the system. Where one is missing the suite fails under CI, and elsewhere
 * is skipped by name with the reason.
 */
export const requires = (...programs: string[]): ((name: string, body: () => void) => void) => {
  const missing = missingPrograms(...programs).join(', ')
  if (missing === '') return (name, body) => void describe(name, body)
  if (process.env['CI'] === undefined) {
    return (name, body) => void describe.skip(`${name} (needs ${missing})`, body)
  }
  return (name) => {
    test(name, () => {
      throw new Error(`CI has to run this suite, but the machine lacks: ${missing}`)
    })
  }
}
