import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folderOf = (target: string): string => fileURLToPath(new URL(`corpus/${target}/`, import.meta.url))

/** A file in the corpus that somebody has put there by hand keeps its name: each is a bug of the past. */
const isGrown = (name: string): boolean => /^[0-9a-f]{12}$/.test(name)

/** The inputs that are kept of a target, in the order of their names. */
export function readCorpus(target: string): Buffer[] {
  const folder = folderOf(target)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .toSorted()
    .map((name) => readFileSync(join(folder, name)))
}

/** Keeps these inputs, and those that were put there by hand, instead of what was grown before. */
export function writeCorpus(target: string, inputs: Iterable<Buffer>): void {
  const folder = folderOf(target)
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) if (isGrown(name)) rmSync(join(folder, name))
  for (const input of inputs)
    writeFileSync(join(folder, createHash('sha256').update(input).digest('hex').slice(0, 12)), input)
}

/** Of all targets together. */
export function corpusBytes(): number {
  const folder = fileURLToPath(new URL('corpus/', import.meta.url))
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
