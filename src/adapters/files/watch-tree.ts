import { relative } from 'node:path'
import { watch } from 'chokidar'

/** Tells when something in a folder may have changed. */
export interface TreeWatch {
  close(): Promise<void>
}

export interface TreeWatchOptions {
  /** Called for any event at all: what has changed is for a scan to find. */
  onChange: () => void
  /** Called when events may be missed from now on, as when the system's limit of watches is reached. */
  onFailure: (error: unknown) => void
}

/** Watches a folder, given without symbolic links. Git's own folder is left out: it changes with every fetch. */
export function watchTree(root: string, { onChange, onFailure }: TreeWatchOptions): TreeWatch {
  const watcher = watch(root, {
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (path) => relative(root, path).split('/').includes('.git'),
  })
  watcher.on('all', onChange)
  watcher.on('ready', onChange)
  watcher.on('error', onFailure)
  return { close: () => watcher.close() }
}
