/** Writes the generated pages of docs: `node test/docs/generate.ts`; with `--check` it only says which are stale. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { metricsPage } from './metrics-page.ts'
import { reasonsPage } from './reasons-page.ts'

const pages: Record<string, string> = {
  'docs/metrics.md': metricsPage,
  'docs/reasons.md': reasonsPage,
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // Not there yet: stale.
    return undefined
  }
}

const checking = process.argv.includes('--check')
for (const [path, text] of Object.entries(pages)) {
  const file = fileURLToPath(new URL(`../../${path}`, import.meta.url))
  if (textOf(file) === text) continue
  process.stdout.write(`${checking ? 'stale' : 'written'}: ${path}\n`)
  if (checking) process.exitCode = 1
  else {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}
