/** Writes the generated pages of docs: `node test/docs/generate.ts`; with `--check` it only says which are stale. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cliPage } from './cli-page.ts'
import { manPage } from './man-page.ts'
import { apiPage } from './api-page.ts'
import { metricsPage } from './metrics-page.ts'
import { reasonsPage } from './reasons-page.ts'
import { validationPage } from './validation-page.ts'

const pages: Record<string, string> = {
  'docs/api.md': apiPage,
  'docs/cli.md': cliPage,
  'docs/metrics.md': metricsPage,
  'docs/reasons.md': reasonsPage,
  'docs/reflash.1': manPage,
  'docs/validation.md': validationPage,
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
