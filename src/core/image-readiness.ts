import type { Build, FirmwareImage } from '../api/resources.ts'
import type { StoredImage } from './stored-image.ts'

export type ImageReadiness =
  /** The boards that may get the image. */
  | { ready: true; boards: string[] }
  | { ready: false; reason: 'DigestMismatch' | 'ImageInvalid'; message: string }

interface Declared {
  image: Pick<FirmwareImage['spec'], 'sha256' | 'boards'>
  /** The build it belongs to, as far as it is known. */
  build: Pick<Build['spec'], 'osIdentifier'> | undefined
}

/** Whether what a stored file says of itself agrees with what the operator declares, and which boards may get it. */
export function imageReadiness({ image, build }: Declared, stored: StoredImage): ImageReadiness {
  const { metadata, sha256 } = stored
  if (image.sha256 !== undefined && image.sha256 !== sha256) {
    return not('DigestMismatch', `the image has the SHA-256 ${sha256}, expected is ${image.sha256}`)
  }
  const boards = image.boards ?? metadata?.boards
  if (boards === undefined)
    return not('ImageInvalid', 'the image carries no metadata: list its boards in spec.boards')
  if (boards.length === 0)
    return not('ImageInvalid', 'no board may get the image: the list of its boards is empty')
  const foreign = metadata ? boards.filter((board) => !metadata.boards.includes(board)) : []
  if (metadata && foreign.length > 0) {
    return not(
      'ImageInvalid',
      `the image is not for ${some(foreign)}: its metadata names ${some(metadata.boards)}`,
    )
  }
  const contradiction = build && releaseProblem(build.osIdentifier, metadata?.revision)
  return contradiction === undefined
    ? { ready: true, boards: [...boards] }
    : not('ImageInvalid', contradiction)
}

/** What keeps anybody from telling, after the flash, whether the image runs. */
function releaseProblem(osIdentifier: string | undefined, revision: string | undefined): string | undefined {
  if (osIdentifier === undefined) {
    return revision === undefined
      ? 'the image does not say which release it is: set osIdentifier on its build'
      : undefined
  }
  return revision === undefined || names(osIdentifier, revision)
    ? undefined
    : `the image is revision ${revision}, but its build is "${osIdentifier}"`
}

/** Whether an OS identifier holds the revision as a whole word: `r24106` is not `r24106-10cc5fcd00`. */
const names = (osIdentifier: string, revision: string): boolean =>
  ` ${osIdentifier.replaceAll(/\s+/g, ' ')} `.includes(` ${revision} `)

const some = (boards: readonly string[]): string => {
  const shown = boards.slice(0, 5).join(', ')
  if (boards.length === 0) return 'no board'
  return boards.length > 5 ? `${shown} and ${boards.length - 5} more` : shown
}

const not = (reason: 'DigestMismatch' | 'ImageInvalid', message: string): ImageReadiness => ({
  ready: false,
  reason,
  message,
})
