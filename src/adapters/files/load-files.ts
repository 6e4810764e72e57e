import { createHash } from 'node:crypto'
import type { Clock } from '../../ports/clock.ts'
import { finding } from './diagnostic.ts'
import type { DirectoryObserver } from './directory-source.ts'
import { parseContent } from './parse-content.ts'
import type { ParsedFile } from './parse-file.ts'
import { readBytes } from './read-bytes.ts'
import type { Refusal, SeenFile, Snapshot } from './snapshot.ts'
import { visible } from './visible.ts'

interface Loaded {
  version: string
  sha256: string
  parsed: ParsedFile
}

export interface LoadedFiles {
  files: Map<string, ParsedFile>
  /** Those of the snapshot, and files that could not be read. */
  refused: Refusal[]
}

export interface Loader {
  /** What every file of a snapshot says; undefined when one has changed since. */
  load(snapshot: Snapshot, signal?: AbortSignal): Promise<LoadedFiles | undefined>
}

/** Reads files that have changed and parses those whose content has; remembers the rest. */
export function createLoader({ clock, observer }: { clock: Clock; observer: DirectoryObserver }): Loader {
  let known = new Map<string, Loaded>()

  async function loadFile(file: SeenFile, signal?: AbortSignal): Promise<Loaded | undefined> {
    const before = known.get(file.path)
    if (before?.version === file.version) return before
    const bytes = await readBytes(file)
    if (!bytes) return undefined
    observer.fileRead?.(file.path)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    if (before?.sha256 === sha256) return { ...before, version: file.version }
    observer.fileParsed?.(file.path)
    return { version: file.version, sha256, parsed: await parseContent(bytes, clock, signal) }
  }

  return {
    async load({ files: seen, refused: refusedBefore }, signal) {
      const next = new Map<string, Loaded>()
      const refused = [...refusedBefore]
      for (const file of seen.values()) {
        signal?.throwIfAborted()
        try {
          const loaded = await loadFile(file, signal)
          if (!loaded) return undefined
          next.set(file.path, loaded)
        } catch (error) {
          signal?.throwIfAborted()
          const { code } = error as NodeJS.ErrnoException
          if (code === undefined) throw error
          refused.push({
            path: file.path,
            problem: finding('Unreadable', `cannot be read: ${visible(code)}`),
          })
        }
      }
      known = next
      return { files: new Map([...next].map(([path, { parsed }]) => [path, parsed])), refused }
    },
  }
}
