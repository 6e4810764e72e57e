import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'

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
