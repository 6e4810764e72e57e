import type { Build, Device, FirmwareImage } from '../api/resources.ts'
import { isTrue } from './conditions.ts'

/** A build with its images, as far as they are declared. */
export interface BuildWithImages {
  build: Build
  images: readonly FirmwareImage[]
}

export const isReadyImage = (image: FirmwareImage): boolean =>
  isTrue(image.status.conditions, 'Ready') && image.status.observedGeneration === image.metadata.generation

/**
 * Whether a device that reported these facts runs this build: by the build's OS identifier where it declares one, else
 * by the release revision in the metadata of its images.
 */
export function runsBuild(status: Device['status'], { build, images }: BuildWithImages): boolean {
  if (build.spec.osIdentifier !== undefined) return status.osIdentifier === build.spec.osIdentifier
  const revision = status.release?.revision
  if (revision === undefined || status.board === undefined) return false
  return images.some(
    (image) =>
      isReadyImage(image) &&
      image.status.metadata?.revision === revision &&
      (image.status.boards ?? []).includes(status.board!),
  )
}

export type ImageMatch =
  | { kind: 'One'; image: FirmwareImage }
  | { kind: 'None' }
  | { kind: 'Ambiguous'; names: string[] }

/** The image of a build for a board, among those that are Ready. Two are a condition, not a coin toss. */
export function imageForBoard(board: string, images: readonly FirmwareImage[]): ImageMatch {
  const fitting = images.filter((image) => isReadyImage(image) && (image.status.boards ?? []).includes(board))
  const [first, ...others] = fitting
  if (!first) return { kind: 'None' }
  if (others.length > 0)
    return { kind: 'Ambiguous', names: fitting.map((image) => image.metadata.name).toSorted() }
  return { kind: 'One', image: first }
}
