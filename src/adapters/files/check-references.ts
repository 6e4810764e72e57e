import { realpath } from 'node:fs/promises'
import { isAbsolute, join, relative } from 'node:path'
import type { ProblemReason } from '../../api/problem.ts'
import type { Kind, Manifest } from '../../api/resources.ts'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { imageReadiness } from '../../core/image-readiness.ts'
import type { StoredImage } from '../../ports/image-store.ts'
import { byPlace, type Diagnostic, finding, inFile, type Place } from './diagnostic.ts'
import { mapInBatches } from './map-in-batches.ts'
import { idOf } from './parse-file.ts'
import type { DeclaredObject, Revision } from './revision.ts'
import { credentialProblem } from './secrets.ts'

/** As the image store allows. */
const maxPathSegments = 16

interface Reference {
  path: string
  kind: Kind
  name: string | undefined
}

/** Entries of the Secrets in a folder of mounted ones, by name. */
export type MountedSecrets = ReadonlyMap<string, Readonly<Record<string, string>>>

/**
 * Checks what only the whole directory can tell: whether everything that is referred to is declared. Pure. Objects that
 * are refused anyway are left out, and while a file is broken nothing counts as missing.
 */
export function checkReferences(revision: Revision, mounted: MountedSecrets = new Map()): Diagnostic[] {
  const problems: Diagnostic[] = []
  for (const object of revision.objects.values()) {
    if (object.staleBecause !== undefined) continue
    const add = (
      path: string,
      reason: ProblemReason,
      message: string,
      severity: Diagnostic['severity'] = 'error',
    ): void => {
      problems.push(inFile(object.file, { ...finding(reason, message, placeIn(object, path)), severity }))
    }
    for (const { path, kind, name } of referencesOf(object.manifest)) {
      if (name !== undefined && isMissing(revision, kind, { ...object.manifest.metadata, name })) {
        add(
          path,
          'NotFound',
          `there is no ${kind} ${name} in namespace ${object.manifest.metadata.namespace}`,
        )
      }
    }
    for (const { path, name } of credentialsOf(object.manifest)) {
      const problem = secretProblem(revision, { ...object.manifest.metadata, name }, mounted)
      if (problem) add(path, problem.reason, problem.message, problem.severity)
    }
    if (leadsOutside(object.manifest)) {
      add(
        'spec.source.path',
        'PathOutsideRoot',
        'must be relative, without "..", and beside the manifest or below it',
      )
    }
    const otherCategory = targetOfOtherCategory(revision, object.manifest)
    if (otherCategory !== undefined) add('spec.target.buildRef', 'Invalid', otherCategory)
  }
  return problems.sort(byPlace)
}

/** Where a field stands, or its object. */
const placeIn = ({ line, column, fields }: DeclaredObject, path: string): Place & { path: string } => ({
  ...(fields[path] ?? { line, column }),
  path,
})

function referencesOf(manifest: Manifest): Reference[] {
  const reference = (path: string, kind: Kind, ref: { name: string } | undefined): Reference => ({
    path,
    kind,
    name: ref?.name,
  })
  if (isA(manifest, 'Build')) return [reference('spec.categoryRef', 'Category', manifest.spec.categoryRef)]
  if (isA(manifest, 'FirmwareImage')) return [reference('spec.buildRef', 'Build', manifest.spec.buildRef)]
  if (isA(manifest, 'Device')) {
    return [
      reference('spec.categoryRef', 'Category', manifest.spec.categoryRef),
      reference('spec.pinnedBuildRef', 'Build', manifest.spec.pinnedBuildRef),
    ]
  }
  if (isA(manifest, 'UpgradePolicy')) {
    return [
      reference('spec.categoryRef', 'Category', manifest.spec.categoryRef),
      reference('spec.target.buildRef', 'Build', manifest.spec.target.buildRef),
    ]
  }
  if (isA(manifest, 'UpgradeOperation')) {
    return [
      reference('spec.deviceRef', 'Device', manifest.spec.deviceRef),
      reference('spec.buildRef', 'Build', manifest.spec.buildRef),
      reference('spec.imageRef', 'FirmwareImage', manifest.spec.imageRef),
    ]
  }
  return []
}

const isA = <K extends Kind>(manifest: Manifest, kind: K): manifest is Manifest<K> => manifest.kind === kind

const isMissing = (revision: Revision, kind: string, key: { namespace: string; name: string }): boolean => {
  const id = idOf(kind, key)
  const isDeclared = revision.objects.has(id) || revision.secrets.has(id) || revision.spoiled.has(id)
  return !isDeclared && revision.broken.size === 0
}

function credentialsOf(manifest: Manifest): { path: string; name: string }[] {
  if (!isA(manifest, 'Device')) return []
  const { credentialsRef, jumpHost } = manifest.spec
  const own = { path: 'spec.credentialsRef', name: credentialsRef.name }
  return jumpHost
    ? [own, { path: 'spec.jumpHost.credentialsRef', name: jumpHost.credentialsRef.name }]
    : [own]
}

function secretProblem(
  revision: Revision,
  key: { namespace: string; name: string },
  mounted: MountedSecrets,
): Pick<Diagnostic, 'reason' | 'message' | 'severity'> | undefined {
  const declared = revision.secrets.get(idOf('Secret', key))?.secret.entries
  const entries = declared ?? (key.namespace === 'default' ? mounted.get(key.name) : undefined)
  const place = `Secret ${key.name} in namespace ${key.namespace}`
  if (entries) {
    const problem = credentialProblem(entries)
    return problem === undefined
      ? undefined
      : { reason: 'Invalid', message: `${place} ${problem}`, severity: 'error' }
  }
  if (!isMissing(revision, 'Secret', key)) return undefined
  // Without any Secret in the directory they are kept elsewhere, as they should be.
  const isElsewhere = revision.secrets.size === 0 && mounted.size === 0
  const hint = isElsewhere ? ' in the directory; give its folder with --secrets' : ''
  return {
    reason: 'NotFound',
    message: `there is no ${place}${hint}`,
    severity: isElsewhere ? 'warning' : 'error',
  }
}

function leadsOutside(manifest: Manifest): boolean {
  const path = isA(manifest, 'FirmwareImage') ? manifest.spec.source.path : undefined
  if (path === undefined) return false
  const segments = path.split('/')
  // An encoded ".." is no way out, but nobody means it as a name.
  const leavesFolder = segments.some((segment) => /^(\.|%2e){2}$/i.test(segment))
  return leavesFolder || path.includes('\0') || isAbsolute(path) || segments.length > maxPathSegments
}

function targetOfOtherCategory(revision: Revision, manifest: Manifest): string | undefined {
  if (!isA(manifest, 'UpgradePolicy')) return undefined
  const { categoryRef, target } = manifest.spec
  const { namespace } = manifest.metadata
  const build = revision.objects.get(idOf('Build', { namespace, name: target.buildRef.name }))?.manifest
  if (!build || !isA(build, 'Build') || build.spec.categoryRef.name === categoryRef.name) return undefined
  return `Build ${target.buildRef.name} is of category ${build.spec.categoryRef.name}, not ${categoryRef.name}`
}

/** What an image file is. @throws ReflashError for one that is none. */
type InspectImage = (realPath: string) => Promise<StoredImage>

interface ImageChecks {
  imagesFolder?: string | undefined
  /** Reads each file; without it they are only looked for. */
  inspect?: InspectImage
}

/**
 * Looks for the files of all images beside their manifests and in the images folder: one that is missing is a warning,
 * since it may be copied there later; a link that leads out of both is an error, and so is a file that no device can get.
 */
export async function checkImageFiles(revision: Revision, checks: ImageChecks = {}): Promise<Diagnostic[]> {
  const images = [...revision.objects.values()].filter(
    ({ manifest, staleBecause }) =>
      isA(manifest, 'FirmwareImage') && staleBecause === undefined && !leadsOutside(manifest),
  )
  const problems = await mapInBatches(images, (object) => imageProblem(object, revision, checks))
  return problems.filter((problem) => problem !== undefined).sort(byPlace)
}

async function imageProblem(
  object: DeclaredObject,
  revision: Revision,
  { imagesFolder, inspect }: ImageChecks,
): Promise<Diagnostic | undefined> {
  const { root } = revision
  const { manifest, folder, file } = object
  const path = isA(manifest, 'FirmwareImage') ? manifest.spec.source.path : undefined
  if (root === undefined || path === undefined) return undefined
  const at = placeIn(object, 'spec.source.path')
  const places = [{ start: join(root, folder), within: root }]
  if (imagesFolder !== undefined) places.push({ start: imagesFolder, within: imagesFolder })
  for (const { start, within } of places) {
    const realPath = await realpath(join(start, path)).catch(() => undefined)
    const realRoot = await realpath(within).catch(() => within)
    if (realPath === undefined) continue
    const way = relative(realRoot, realPath)
    if (way === '..' || way.startsWith('../')) {
      return inFile(file, finding('PathOutsideRoot', `"${path}" is a link that leads out of its folder`, at))
    }
    return inspect && contentProblem(object, revision, () => inspect(realPath))
  }
  const where = imagesFolder === undefined ? '' : ' nor in the images folder'
  const message = `there is no file "${path}" beside the manifest${where}`
  return inFile(file, { ...finding('NotFound', message, at), severity: 'warning' })
}

/** What `run` would say of the bytes. */
async function contentProblem(
  object: DeclaredObject,
  revision: Revision,
  inspect: () => Promise<StoredImage>,
): Promise<Diagnostic | undefined> {
  const { manifest, file } = object
  if (!isA(manifest, 'FirmwareImage')) return undefined
  const { namespace } = manifest.metadata
  const build = revision.objects.get(
    idOf('Build', { namespace, name: manifest.spec.buildRef.name }),
  )?.manifest
  const fail = (reason: ProblemReason, message: string): Diagnostic => {
    const field = reason === 'DigestMismatch' ? 'spec.sha256' : 'spec.source.path'
    return inFile(file, finding(reason, `"${manifest.spec.source.path}": ${message}`, placeIn(object, field)))
  }
  try {
    const declared = { image: manifest.spec, build: build && isA(build, 'Build') ? build.spec : undefined }
    const readiness = imageReadiness(declared, await inspect())
    return readiness.ready ? undefined : fail(readiness.reason, readiness.message)
  } catch (error) {
    if (!(error instanceof ReflashError)) throw error
    return fail(error.code === 'ImageInvalid' ? 'ImageInvalid' : 'Unreadable', messageOf(error))
  }
}
