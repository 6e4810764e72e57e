import { readFile } from 'node:fs/promises'

/** What became of the tests of a suite. */
export interface Tests {
  passed: number
  /** By their full names. */
  failed: string[]
  /** By their full names, which say what they need. */
  skipped: string[]
}

interface Report {
  testResults: { name: string; message: string; assertionResults: { fullName: string; status: string }[] }[]
}

/** Reads what vitest's reporter of JSON wrote; undefined where it came to no end, or was not run. */
export async function readVitest(file: string): Promise<Tests | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { testResults }: Report = JSON.parse(text)
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const named = (...statuses: string[]): string[] =>
    tests.filter(({ status }) => statuses.includes(status)).map(({ fullName }) => fullName.trim())
  return {
    passed: named('passed').length,
    failed: named('failed'),
    skipped: named('skipped', 'pending', 'todo'),
  }
}
