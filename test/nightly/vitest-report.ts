import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'

export interface FailedTest {
  /** Where it is, below the directory of the run. */
  file: string
  /** With those of its groups. */
  name: string
}

/** What became of the tests of a suite. */
export interface Tests {
  passed: number
  failed: FailedTest[]
  /** By their full names, which say what they need. */
  skipped: string[]
}

interface Report {
  testResults: { name: string; assertionResults: { fullName: string; status: string }[] }[]
}

/** Reads what vitest's reporter of JSON wrote in a directory; undefined where it came to no end, or was not run. */
export async function readVitest(report: string, directory: string): Promise<Tests | undefined> {
  const text = await readFile(report, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { testResults }: Report = JSON.parse(text)
  const tests = testResults.flatMap(({ name: file, assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({
      file: relative(directory, file),
      name: fullName.trim(),
      status,
    })),
  )
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: tests.filter(({ status }) => status === 'failed').map(({ file, name }) => ({ file, name })),
    skipped: tests.filter(({ status }) => status !== 'passed' && status !== 'failed').map(({ name }) => name),
  }
}
