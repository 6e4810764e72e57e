import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { openState, type State } from '../../src/adapters/sqlite/state.ts'
import type { WatchLogLimits } from '../../src/adapters/watch-log.ts'

/** A folder of its own for one state file, which belongs to that folder as its directory of manifests. */
export interface StateFolder {
  folder: string
  path: string
  open(history?: WatchLogLimits): Promise<State>
  remove(): Promise<void>
}

export const makeStateFolder = async (): Promise<StateFolder> => {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-state-'))
  const path = join(folder, 'state', 'state.db')
  return {
    folder,
    path,
    open: (history) =>
      openState(path, { directory: folder, clock: systemClock, ...(history ? { history } : {}) }),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
