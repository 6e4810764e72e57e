import { realpath } from 'node:fs/promises'
import { isAbsolute, join, relative } from 'node:path'
import { nearest } from '../../api/nearest.ts'
import type { ProblemReason } from '../../api/problem.ts'
import type { Kind, Manifest } from '../../api/resources.ts'
import { messageOf, ReflashError } from '../../core/errors.ts'
import { imageReadiness } from '../../core/image-readiness.ts'
import type { StoredImage } from '../../ports/image-store.ts'
import { byPlace, type Diagnostic, type Explanation, finding, inFile } from './diagnostic.ts'
import { mapInBatches } from './map-in-batches.ts'
import { idOf } from './parse-file.ts'
import { type DeclaredObject, placeIn, type Revision } from './revision.ts'
import { credentialProblem, type KeyProblem } from './secrets.ts'

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
export function checkReferences(
  revision: Revision,
  mounted: MountedSecrets = new Map(),
  keyProblem?: KeyProblem,
): Diagnostic[] {
  const problems: Diagnostic[] = []
  const near = nearestNames(revision, mounted)
  for (const object of revision.objects.values()) {
    if (object.staleBecause !== undefined) continue
    const { metadata } = object.manifest
    const add = (path: string, { reason, message, severity = 'error', ...explanation }: Wrong): void => {
      const found = finding(reason, message, { ...explanation, ...placeIn(object, path) })
      problems.push(inFile(object.file, { ...found, severity }))
    }
    for (const { path, kind, name } of referencesOf(object.manifest)) {
      if (name === undefined || !isMissing(revision, kind, { ...metadata, name })) continue
      add(path, missing(kind, { ...metadata, name }, near(kind, { ...metadata, name })))
    }
    for (const { path, name } of credentialsOf(object.manifest)) {
      const key = { ...metadata, name }
      const problem = secretProblem(revision, key, { mounted, near, keyProblem })
      if (problem) add(path, problem)
    }
    if (leadsOutside(object.manifest)) {
      const expected = 'relative, without "..", and beside the manifest or below it'
      add('spec.source.path', { reason: 'PathOutsideRoot', message: `must be ${expected}`, expected })
    }
    const otherCategory = targetOfOtherCategory(revision, object.manifest)
    if (otherCategory !== undefined) {
      add('spec.target.buildRef', { reason: 'Invalid', message: otherCategory })
    }
  }
  return problems.sort(byPlace)
}

/** What is wrong with one reference. */
interface Wrong extends Explanation {
  reason: ProblemReason
  message: string
  severity?: Diagnostic['severity']
}

interface Key {
  namespace: string
  name: string
}

const missing = (kind: string, { namespace, name }: Key, suggestion: string | undefined): Wrong => ({
  reason: 'NotFound',
  message: `there is no ${kind} ${name} in namespace ${namespace}${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`,
  expected: `the name of a ${kind} in namespace ${namespace}`,
  found: name,
  suggestion,
})

/** The declared name that is nearest to one that is missing. */
type Near = (kind: string, key: Key) => string | undefined

/** Each name is looked for once: ten thousand devices may lack the same one. */
function nearestNames(revision: Revision, mounted: MountedSecrets): Near {
  const names = new Map<string, string[]>()
  const add = (id: string): void => {
    const slash = id.lastIndexOf('/')
    const place = id.slice(0, slash)
    const known = names.get(place)
    if (known) known.push(id.slice(slash + 1))
    else names.set(place, [id.slice(slash + 1)])
  }
  for (const ids of [revision.objects.keys(), revision.secrets.keys()]) for (const id of ids) add(id)
  for (const name of mounted.keys()) add(idOf('Secret', { namespace: 'default', name }))
  const found = new Map<string, string | undefined>()
  return (kind, key) => {
    const id = idOf(kind, key)
    if (!found.has(id)) found.set(id, nearest(key.name, names.get(`${kind}/${key.namespace}`) ?? []))
    return found.get(id)
  }
}

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

const isMissing = (revision: Revision, kind: string, key: Key): boolean => {
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
  key: Key,
  { mounted, near, keyProblem }: { mounted: MountedSecrets; near: Near; keyProblem: KeyProblem | undefined },
): Wrong | undefined {
  const declared = revision.secrets.get(idOf('Secret', key))?.secret.entries
  const entries = declared ?? (key.namespace === 'default' ? mounted.get(key.name) : undefined)
  const place = `Secret ${key.name} in namespace ${key.namespace}`
  if (entries) {
    const problem = credentialProblem(entries, keyProblem)
    return problem === undefined ? undefined : { reason: 'Invalid', message: `${place} ${problem}` }
  }
  if (!isMissing(revision, 'Secret', key)) return undefined
  // Without any Secret in the directory they are kept elsewhere, as they should be.
  const isElsewhere = revision.secrets.size === 0 && mounted.size === 0
  const wrong = missing('Secret', key, near('Secret', key))
  if (!isElsewhere) return wrong
  const message = `${wrong.message} in the directory; give its folder with --secrets`
  return { ...wrong, message, severity: 'warning' }
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
  // A category that nobody declares has been told already.
  const names = [categoryRef.name, build.spec.categoryRef.name]
  if (names.some((name) => isMissing(revision, 'Category', { namespace, name }))) return undefined
  return `Build ${target.buildRef.name} is of category ${build.spec.categoryRef.name}, not ${categoryRef.name}`
}

/** What an image file is. @throws ReflashError for one that is none. */
type InspectImage = (realPath: string) => Promise<StoredImage>

interface ImageChecks {
  imagesFolder?: string | undefined
  /** Reads each file; without it they are only looked for. */
  inspect?: InspectImage
  /** Judges a URL by its text. @throws ReflashError for one that nothing is fetched from. */
  checkUrl?: (url: string) => void
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
  { imagesFolder, inspect, checkUrl }: ImageChecks,
): Promise<Diagnostic | undefined> {
  const refusedUrl = urlProblem(object, checkUrl)
  if (refusedUrl) return refusedUrl
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

function urlProblem(object: DeclaredObject, check: ImageChecks['checkUrl']): Diagnostic | undefined {
  const { manifest, file } = object
  const url = isA(manifest, 'FirmwareImage') ? manifest.spec.source.url : undefined
  if (url === undefined || !check) return undefined
  try {
    check(url)
    return undefined
  } catch (error) {
    return inFile(file, finding('UrlRefused', messageOf(error), placeIn(object, 'spec.source.url')))
  }
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
