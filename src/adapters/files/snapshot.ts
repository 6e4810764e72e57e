import type { Finding } from './diagnostic.ts'

/** A file of a scan, as `lstat` saw it. */
export interface SeenFile {
  /** Relative to the root, with "/" between folders; the name under which it is known. */
  path: string
  /** Where its bytes are, without symbolic links. */
  realPath: string
  sizeBytes: number
  /** Changes with every write, exchange or change of mode. */
  version: string
}

/** Something that may hold manifests and was not looked into. */
export interface Refusal {
  path: string
  problem: Finding
}

/** What the directory looked like at one instant. */
export interface Snapshot {
  /** The root without symbolic links; undefined when it is not there. */
  root: string | undefined
  files: ReadonlyMap<string, SeenFile>
  /** Ordered by path. */
  refused: readonly Refusal[]
  /** Commit that the checkout is at. */
  label: string | undefined
  /** Why the tree may be half written; undefined when nothing says so. */
  unsettled: string | undefined
}

/** Whether nothing has changed between two looks. */
export function sameSnapshot(a: Snapshot, b: Snapshot): boolean {
  if (a.root !== b.root || a.label !== b.label || a.unsettled !== b.unsettled) return false
  if (a.files.size !== b.files.size || a.refused.length !== b.refused.length) return false
  for (const [path, file] of a.files) {
    const other = b.files.get(path)
    if (!other || other.version !== file.version || other.realPath !== file.realPath) return false
  }
  return a.refused.every(({ path, problem }, index) => {
    const other = b.refused[index]!
    return path === other.path && problem.message === other.problem.message
  })
}
