import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One line of a report; with a goal, also whether it was met. */
export interface Finding {
  text: string
  goal?: { text: string; met: boolean }
}

export interface Bench {
  /** What is measured, for the heading. */
  title: string
  /** Programs of the machine that it needs; `root` stands for the rights of root. */
  needs: readonly string[]
  /** What else it lacks on this machine. */
  missing?: () => readonly string[]
  run: () => Promise<Finding[]>
}

export const finding = (text: string): Finding => ({ text })

/** A number that must not be above its goal. */
export const atMost = (text: string, value: number, limit: number, unit = ''): Finding => ({
  text,
  goal: { text: `at most ${limit}${unit}`, met: value <= limit },
})

/** Hands out a folder that is gone afterwards. */
export const withFolder = async <T>(work: (folder: string) => Promise<T>): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-bench-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s`
export const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`
