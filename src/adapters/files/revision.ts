import { dirname } from 'node:path'
import type { Manifest } from '../../api/resources.ts'
import { changeProblems } from '../../api/validate.ts'
import { formatPath } from '../../api/problem.ts'
import { byPlace, type Diagnostic, finding, formatDiagnostic, inFile, type Place } from './diagnostic.ts'
import type { FieldPlaces, ParsedFile, ParsedItem } from './parse-file.ts'
import type { SecretManifest } from './secret-manifest.ts'
import type { Refusal } from './snapshot.ts'
import { visible } from './visible.ts'

interface Declaration extends Place {
  /** Relative to the directory. */
  file: string
  /** Why this is not what its file says now: the last good version stays in force. */
  staleBecause?: string
}

/** An object as the directory declares it. */
export interface DeclaredObject extends Declaration {
  manifest: Manifest
  /** Folder of the file, relative to the directory; "." is the directory itself. */
  folder: string
  fields: FieldPlaces
}

/** Where a field stands, or its object. */
export const placeIn = (
  { line, column, fields }: DeclaredObject,
  path: string,
): Place & { path: string } => ({ ...(fields[path] ?? { line, column }), path })

export interface DeclaredSecret extends Declaration {
  secret: SecretManifest
}

/** What a directory declares at one instant. */
export interface Revision {
  /** Commit of the checkout, where there is one. */
  label?: string
  /** Absolute path of the directory, without symbolic links; undefined when it is gone. */
  root?: string
  /** By kind, namespace and name. */
  objects: ReadonlyMap<string, DeclaredObject>
  /** The same for Secrets. Hold them no longer than the revision, and print nothing of them. */
  secrets: ReadonlyMap<string, DeclaredSecret>
  /** Ordered by file, line and column. */
  problems: readonly Diagnostic[]
  /** Files and folders of which something may be missing, and why. */
  broken: ReadonlyMap<string, string>
  /** Objects that some file declares, but not in a form that can be accepted, and why; `objects` may hold their last good version. */
  spoiled: ReadonlyMap<string, string>
  /** Documents that are no manifests of ours. */
  skipped: number
  /** Something that is not in `objects` may be declared all the same: nothing may be removed for being absent. */
  incomplete: boolean
  /** The directory is gone or holds no manifest at all; `objects` are those of the revision before. */
  vanished: boolean
}

export const emptyRevision: Revision = {
  objects: new Map(),
  secrets: new Map(),
  problems: [],
  broken: new Map(),
  spoiled: new Map(),
  skipped: 0,
  incomplete: true,
  vanished: true,
}

export interface RevisionParts {
  label: string | undefined
  root: string | undefined
  /** What each file says, by path; ordered by path. */
  files: ReadonlyMap<string, ParsedFile>
  refused: readonly Refusal[]
}

/**
 * Makes a revision of what the files say now and of what was in force before. A file that is broken keeps the last good
 * version of its objects; of an object that is declared twice the older declaration stays in force, and where none is
 * older none counts: which one it is must not depend on whether there was a restart.
 */
export function nextRevision(parts: RevisionParts, before: Revision): Revision {
  const { label, root, files, refused } = parts
  const named = { ...(label === undefined ? {} : { label }), ...(root === undefined ? {} : { root }) }
  if (root === undefined ? refused.length === 0 : files.size === 0 && refused.length === 0) {
    return {
      ...before,
      ...named,
      problems: [],
      broken: new Map(),
      spoiled: new Map(),
      skipped: 0,
      vanished: true,
    }
  }
  const problems = [...files].flatMap(([file, parsed]) =>
    parsed.problems.map((problem) => inFile(file, problem)),
  )
  problems.push(...refused.map(({ path, problem }) => inFile(path, problem)))
  const broken = brokenParts(files, refused)
  const claims = claimsOf(files)
  const inForce = new Map<string, Held>()
  const spoiled = new Map<string, string>()

  for (const [id, entries] of claims) {
    const held = heldBefore(before, id)
    const owner = ownerOf(entries, held)
    const twice = duplicates(id, entries, owner)
    problems.push(...twice)
    const claim: Accepted = owner ? accepted(owner, held, problems) : { because: formatDiagnostic(twice[0]!) }
    if (claim.item) inForce.set(id, declared(claim.file, claim.item))
    else {
      spoiled.set(id, claim.because)
      if (held) inForce.set(id, { ...held, staleBecause: claim.because })
    }
  }
  for (const [id, held] of everyHeld(before)) {
    const because = inForce.has(id) ? undefined : brokenAt(held.file, broken)
    if (because !== undefined) inForce.set(id, { ...held, staleBecause: because })
  }
  // An object that was in no complete revision before is new, so nothing of it can be missing.
  const isUnknownBefore = before.incomplete || before.vanished
  const lacks = [...spoiled.keys()].some((id) => !inForce.has(id))
  return {
    ...named,
    ...split(inForce),
    problems: problems.sort(byPlace),
    broken,
    spoiled,
    skipped: [...files.values()].reduce((sum, { skipped }) => sum + skipped, 0),
    incomplete: broken.size > 0 || (isUnknownBefore && lacks),
    vanished: false,
  }
}

type Held = DeclaredObject | DeclaredSecret

/** One place that declares an object, in a good form or not. */
interface Claim extends Place {
  file: string
  item?: ParsedItem
  because?: string
}

function claimsOf(files: ReadonlyMap<string, ParsedFile>): Map<string, Claim[]> {
  const claims = new Map<string, Claim[]>()
  const add = (id: string, claim: Claim): void => {
    const entries = claims.get(id)
    if (entries) entries.push(claim)
    else claims.set(id, [claim])
  }
  for (const [file, { items, spoiled }] of files) {
    for (const item of items) add(item.id, { file, line: item.line, column: item.column, item })
    for (const { id, line, column, because } of spoiled) add(id, { file, line, column, because })
  }
  return claims
}

/** The place that counts: the only one, or the only one in the file of what is in force. Of several none does. */
function ownerOf(claims: readonly Claim[], held: Held | undefined): Claim | undefined {
  const inSameFile = claims.filter(({ file }) => file === held?.file)
  const among = inSameFile.length > 0 ? inSameFile : claims
  return among.length === 1 ? among[0] : undefined
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Each place but the owner's; without an owner each but the first. */
function duplicates(id: string, claims: readonly Claim[], owner: Claim | undefined): Diagnostic[] {
  const ordered = claims.toSorted((a, b) => byText(a.file, b.file) || a.line - b.line)
  const first = owner ?? ordered[0]!
  const outcome = owner
    ? 'and that declaration stays in force'
    : 'and neither counts until one of them is removed'
  return ordered
    .filter((claim) => claim !== first)
    .map(({ file, line, column }) => {
      const message = `${id} is declared in ${first.file}:${first.line} already, ${outcome}`
      const expected = 'each object once'
      return inFile(file, finding('Duplicate', message, { line, column, expected, found: id }))
    })
}

type Accepted = { file: string; item: ParsedItem } | { item?: never; because: string }

/** The owner's item, unless it is spoiled or changes what may not change; then why not. */
function accepted(owner: Claim, held: Held | undefined, problems: Diagnostic[]): Accepted {
  const { file, line, column, item } = owner
  if (!item) return { because: because(file, owner.because ?? 'unknown') }
  if (!item.manifest || !held || !('manifest' in held)) return { file, item }
  const [change] = changeProblems(held.manifest, item.manifest)
  if (!change) return { file, item }
  problems.push(
    inFile(file, finding('Invalid', change.message, { line, column, path: formatPath(change.path) })),
  )
  return { because: because(file, `line ${line}: ${formatPath(change.path)}: ${change.message}`) }
}

const because = (file: string, what: string): string => `${visible(file)}: ${what}`

function brokenParts(
  files: ReadonlyMap<string, ParsedFile>,
  refused: readonly Refusal[],
): Map<string, string> {
  const broken = new Map<string, string>()
  for (const [file, { incomplete }] of files)
    if (incomplete !== undefined) broken.set(file, because(file, incomplete))
  for (const { path, problem } of refused) broken.set(path, because(path, problem.message))
  return broken
}

/** Why a file cannot be read as a whole: on its own account, or on that of a folder above it. */
function brokenAt(file: string, broken: ReadonlyMap<string, string>): string | undefined {
  for (let path = file; ; path = dirname(path)) {
    const because = broken.get(path)
    if (because !== undefined || path === '.') return because
  }
}

const heldBefore = (before: Revision, id: string): Held | undefined =>
  before.objects.get(id) ?? before.secrets.get(id)

function* everyHeld(before: Revision): Iterable<[string, Held]> {
  yield* before.objects
  yield* before.secrets
}

function declared(file: string, item: ParsedItem): Held {
  const place = { file, line: item.line, column: item.column }
  return item.manifest
    ? { ...place, manifest: item.manifest, folder: dirname(file), fields: item.fields }
    : { ...place, secret: item.secret }
}

function split(inForce: ReadonlyMap<string, Held>): Pick<Revision, 'objects' | 'secrets'> {
  const objects = new Map<string, DeclaredObject>()
  const secrets = new Map<string, DeclaredSecret>()
  for (const [id, held] of inForce) {
    if ('manifest' in held) objects.set(id, held)
    else secrets.set(id, held)
  }
  return { objects, secrets }
}
