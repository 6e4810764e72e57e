/** Writes the generated pages of docs: `node test/docs/generate.ts`; with `--check` it only says which are stale. */
import { readFileSync } from 'node:fs'
import { figuresPath } from '../nightly/figures-page.ts'
import { withFigures } from '../nightly/safety-table.ts'
import { writeGenerated } from '../support/write-generated.ts'
import { cliPage } from './cli-page.ts'
import { manPage } from './man-page.ts'
import { apiPage } from './api-page.ts'
import { metricsPage } from './metrics-page.ts'
import { promisesPage } from './promises-page.ts'
import { reasonsPage } from './reasons-page.ts'
import { validationPage } from './validation-page.ts'

const textOf = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

writeGenerated({
  'README.md': withFigures(textOf('README.md'), textOf(figuresPath)),
  'docs/api.md': apiPage,
  'docs/cli.md': cliPage,
  'docs/metrics.md': metricsPage,
  'docs/promises.md': await promisesPage(),
  'docs/reasons.md': reasonsPage,
  'docs/reflash.1': manPage,
  'docs/validation.md': validationPage,
})
