import { readFileSync } from 'node:fs'

/** What a file of /proc says; nothing when its process has ended between two looks. */
export const readProc = (path: string): string => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/** A process and all that are below it, whatever groups these have made for themselves. */
export const processTree = (pid: number): number[] => [
  pid,
  ...readProc(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((child) => child !== '')
    .flatMap((child) => processTree(Number(child))),
]

/** Ends a process that leads a group, and all below it. */
export function killTree(leader: number): void {
  for (const target of [...processTree(leader), -leader]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
}
