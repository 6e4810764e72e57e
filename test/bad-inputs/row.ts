import type { GoodFleet, Restraint } from './good-fleet.ts'
import type { BadInput } from './ids.ts'

/** One bad input that comes in through the directory. */
export interface Row {
  id: BadInput
  what: string
  /** Default: the policy, paused. */
  restraint?: Restraint
  /** What there was before. */
  prepare?: (good: GoodFleet) => Promise<unknown>
  /** Takes the restraint away, and spoils that very thing; or adds what would be enough to start. */
  spoil: (good: GoodFleet) => Promise<unknown>
  /** What validate prints, line by line; of these the errors are what a run logs. */
  says: readonly (string | RegExp)[]
  /** What a run logs instead of what validate says of the whole directory, or beside it. */
  logs?: readonly (string | RegExp)[]
  /** Why a run that is to end by itself has not converged, beside what validate prints. */
  ends?: readonly string[]
  /** Objects that stay as they were, each marked with the first line. */
  keeps?: readonly string[]
  /** Nothing at all of this revision is taken. */
  wholeDirectory?: true
  /** Nobody else can make it. */
  needsRoot?: true
  /** It is being looked at for longer than a test lasts. */
  neverEnds?: true
}
