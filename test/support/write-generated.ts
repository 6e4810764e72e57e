import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Writes generated files, by path below the root of the repository; with `--check` it only says which are stale. */
export function writeGenerated(files: Readonly<Record<string, string>>): void {
  const checking = process.argv.includes('--check')
  for (const [path, text] of Object.entries(files)) {
    const file = fileURLToPath(new URL(`../../${path}`, import.meta.url))
    if (textOf(file) === text) continue
    process.stdout.write(`${checking ? 'stale' : 'written'}: ${path}\n`)
    if (checking) process.exitCode = 1
    else {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // Not there yet: stale.
    return undefined
  }
}
