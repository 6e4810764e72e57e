/** Why a manifest, a file or a folder is refused: the whole list. */
export const problemReasons = {
  Invalid: 'A value breaks the schema or a rule.',
  UnknownField: 'A field that the kind does not have.',
  BadName: 'A name, namespace, label or file name that is not allowed.',
  UnknownKind: 'A kind or version of reflash.dev that this program does not know.',
  SyntaxError: 'Text that is no YAML, or not UTF-8.',
  Duplicate: 'An object that is declared twice, a key twice in one map, or a value twice in a set.',
  NotFound: 'A reference to something that nobody declares, or a selector that matches nothing.',
  Conflict: 'Two objects that are right by themselves and contradict each other; `run` acts on neither.',
  PathOutsideRoot: 'An image path that leads out of the directory.',
  UrlRefused: 'An address that images are not fetched from.',
  DigestMismatch: 'An image file with another SHA-256 than the declared one.',
  ImageInvalid: 'An image file that no device can get.',
  TooLarge: 'A file or a directory beyond its limit.',
  TooDeep: 'Nesting beyond the limit.',
  TimedOut: 'A file that took too long to parse.',
  NotRegularFile: 'A manifest that is a folder, pipe, socket or device.',
  SymlinkRefused: 'A symbolic link that dangles, loops or leads out of the directory.',
  Unreadable: 'A file or folder that cannot be read.',
} as const

export type ProblemReason = keyof typeof problemReasons

/** A reason as reports for machines write it: `unknown-field`. */
export const reasonSlug = (reason: ProblemReason): string =>
  reason.replaceAll(/(?<!^)[A-Z]/g, '-$&').toLowerCase()

export type Path = readonly (string | number)[]

/** One thing that is wrong in one manifest. */
export interface Problem {
  reason: ProblemReason
  path: Path
  /** A sentence without its subject, which is the path: "must be a string, found 5". */
  message: string
  /** What the place should hold, and what it holds, in words. */
  expected: string
  found: string
  /** The known name or value that is nearest to what was written. */
  suggestion?: string
}

/** A path as people write it: `spec.addresses[0]`, `metadata.labels["a.b/c"]`. */
export const formatPath = (path: Path): string =>
  path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`
    return text === '' ? part : `${text}.${part}`
  }, '')
