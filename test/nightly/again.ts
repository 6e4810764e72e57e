import { quoteCommand } from '../../src/core/shell-quote.ts'
import type { FailedTest } from './vitest-report.ts'

/** The line that runs a failed test again: a world of chance by the seed that it named, another by its name. */
export function againOf(
  { file, name }: FailedTest,
  { env, lines }: { env: Readonly<Record<string, string>>; lines: readonly string[] },
): string {
  const [, seed] = /\bseed (\d+)/.exec(lines.join('\n')) ?? []
  const settings = seed === undefined ? env : seededBy(seed)
  const narrowed = seed === undefined ? ['-t', name.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)] : []
  return [
    ...Object.entries(settings).map(([variable, value]) => `${variable}=${value}`),
    quoteCommand(['npx', 'vitest', 'run', file, ...narrowed]),
  ].join(' ')
}

const seededBy = (seed: string): Record<string, string> => ({ REFLASH_SEED: seed, REFLASH_SEEDS: '1' })
