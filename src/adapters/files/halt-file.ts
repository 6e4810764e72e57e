import { lstatSync } from 'node:fs'
import { messageOf } from '../../core/errors.ts'
import type { Brake } from '../../ports/brake.ts'

/**
 * The file at `path` stops all starts for as long as it is there, be it a link to nothing. An emergency brake fails
 * towards the stop: where nobody can tell whether the file is there, nothing starts either.
 */
export const haltFile = (path: string): Brake => ({
  async halted() {
    try {
      const found = lstatSync(path, { throwIfNoEntry: false })
      return found && `${path} exists; remove it to allow starts again`
    } catch (error) {
      return `whether ${path} exists cannot be told: ${messageOf(error)}`
    }
  },
})
