import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Mutant } from './mutate.ts'

/** A mutant that no test notices, by what it makes of which line: lines may move. */
export interface Survivor {
  /** From the root. */
  file: string
  was: string
  becomes: string
}

/** One that was looked at, with the reason why it may live. */
export interface Listed extends Survivor {
  why: string
  /** Nothing that anybody could see differs: it is no mistake. The others count against the score. */
  isEquivalent: boolean
}

const maxLineLength = 200

/** Every survivor that was looked at. */
export function readListed(): Listed[] {
  return JSON.parse(readFileSync(new URL('survivors.json', import.meta.url), 'utf8')) as Listed[]
}

/** What a mutant is, in a form that stays when the lines around it change. */
export function describeMutant({ fileName, location, replacement }: Mutant): Survivor {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const file = fileName.startsWith(root) ? fileName.slice(root.length) : fileName
  const lines = readFileSync(root + file, 'utf8').split('\n')
  const { start, end } = location
  const first = lines[start.line - 1]!
  const last = lines[end.line - 1]!
  const becomes = first.slice(0, start.column - 1) + replacement + last.slice(end.column - 1)
  const short = (text: string): string => text.trim().replaceAll(/\s+/g, ' ').slice(0, maxLineLength)
  return { file, was: short(first), becomes: short(becomes) }
}

export const keyOf = ({ file, was, becomes }: Survivor): string => `${file}\n${was}\n${becomes}`
