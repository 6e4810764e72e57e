import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'

const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']

const isThere = (program: string): boolean => {
  if (program === 'root') return process.getuid?.() === 0
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** The programs that this machine lacks; "root" stands for the rights of root. */
export const missingPrograms = (...programs: string[]): string[] =>
  programs.filter((program) => !isThere(program))

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
