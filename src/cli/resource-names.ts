import { kinds } from '../api/kinds.ts'
import { isSubdomain } from '../api/metadata.ts'
import { nearest } from '../api/nearest.ts'
import { group, version } from '../api/schema.ts'
import { CliError, exitCodes } from './context.ts'
import { shown } from './render-text.ts'

/** A kind as the command line names it. */
export interface ResourceName {
  kind: string
  plural: string
  singular: string
  shortNames: readonly string[]
  /** '' for the kinds of `/api/v1`. */
  group: string
  namespaced: boolean
}

/** A kind, or one object of it. */
export interface Target {
  resource: ResourceName
  name?: string
}

const ours: readonly ResourceName[] = kinds.map((info) => ({ ...info, group, namespaced: true }))
const core = { group: '', namespaced: true }
const resources: readonly ResourceName[] = [
  ...ours,
  { ...core, kind: 'Event', plural: 'events', singular: 'event', shortNames: ['ev'] },
  {
    ...core,
    kind: 'Namespace',
    plural: 'namespaces',
    singular: 'namespace',
    shortNames: ['ns'],
    namespaced: false,
  },
]
/** What people say where only our own kinds can be meant. */
const everyday: Record<string, readonly string[]> = {
  UpgradePolicy: ['policy', 'policies'],
  UpgradeOperation: ['operation', 'operations', 'op'],
  FirmwareImage: ['image', 'images'],
}
const byWord = new Map(
  resources.flatMap((resource) => {
    const { kind, plural, singular, shortNames } = resource
    return [plural, singular, ...shortNames, ...(everyday[kind] ?? [])].map(
      (word) => [word, resource] as const,
    )
  }),
)
const categories = ['reflash', 'all']

/** What a person would write for a kind. */
export const kindWords: readonly string[] = [...resources.map(({ plural }) => plural), ...categories]

/** The kinds of one word: `devices`, `Device`, `dev`, `dev,upol`, `reflash` or `all`. */
function readKinds(word: string): readonly ResourceName[] {
  const found = word.split(',').flatMap((part) => {
    const text = part.toLowerCase()
    if (categories.includes(text)) return ours
    return [byWord.get(text.replace(/\.reflash\.dev$/, '')) ?? unknownKind(part)]
  })
  return [...new Set(found)]
}

function unknownKind(word: string): never {
  const suggestion = nearest(word, [...byWord.keys(), ...categories])
  const hint =
    suggestion === undefined
      ? `; known are ${resources.map(({ plural }) => plural).join(', ')}`
      : `; did you mean ${suggestion}?`
  throw new CliError(`there is no kind "${shown(word.slice(0, 80))}"${hint}`, exitCodes.usage)
}

/** One kind, for commands that take no lists of them. */
export function readKind(word: string): ResourceName {
  const [resource, second] = readKinds(word)
  if (!resource || second) throw new CliError(`"${shown(word)}" must be one kind`, exitCodes.usage)
  return resource
}

/** Reads `KIND[,KIND] [NAME…]` and `KIND/NAME…`, as kubectl does. @throws CliError. */
export function readTargets(words: readonly string[]): Target[] {
  const [first, ...names] = words
  if (first === undefined) throw new CliError('name a kind, such as devices, or KIND/NAME', exitCodes.usage)
  if (words.some((word) => word.includes('/'))) return words.map(readSlashed)
  const found = readKinds(first)
  if (names.length === 0) return found.map((resource) => ({ resource }))
  return found.flatMap((resource) => names.map((name) => ({ resource, name: checkName(name) })))
}

function readSlashed(word: string): Target {
  const [kind, name, more] = word.split('/')
  if (kind === undefined || name === undefined || more !== undefined || kind.includes(',')) {
    throw new CliError(`"${shown(word)}" must be KIND/NAME, as all that are given with it`, exitCodes.usage)
  }
  return { resource: readKind(kind), name: checkName(name) }
}

/** Returns the name, which is then safe as a part of a path. */
export function checkName(name: string): string {
  if (isSubdomain(name)) return name
  throw new CliError(`"${shown(name.slice(0, 80))}" is no name of an object`, exitCodes.usage)
}

/** The path of all objects of a kind, in a namespace or in all of them. */
export function collectionPath({ group: of, plural, namespaced }: ResourceName, namespace?: string): string {
  const root = of === '' ? '/api/v1' : `/apis/${of}/${version}`
  return namespaced && namespace !== undefined
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${root}/${plural}`
}

/** As kubectl writes it: `device.reflash.dev/ap-17`. */
export const fullName = ({ group: of, singular }: ResourceName, name: string): string =>
  `${singular}${of === '' ? '' : `.${of}`}/${name}`

/** The name in `NAME` or `KIND/NAME`, where one kind alone makes sense. @throws CliError. */
export function nameOfKind(kind: string, word: string): string {
  if (!word.includes('/')) return checkName(word)
  const { resource, name } = readSlashed(word)
  if (resource.kind === kind) return name!
  throw new CliError(`"${shown(word)}" is no ${kind}`, exitCodes.usage)
}
