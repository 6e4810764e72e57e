/** The OpenAPI v3 documents, by which `kubectl explain` knows the fields and a client can be generated. */
import type { Schema } from '../api/schema.ts'
import type { ResourceInfo } from './collection.ts'

type Json = Record<string, unknown>

interface GroupVersionKind {
  group: string
  version: string
  kind: string
}

export const gvkOf = ({ group, version, kind }: ResourceInfo): GroupVersionKind => ({ group, version, kind })

/** Where a group and version are served, without the leading slash: `api/v1`, `apis/reflash.dev/v1alpha1`. */
export const groupVersionPath = ({ group, version }: ResourceInfo): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`

/** One document for each group and version, by its path; `version` is that of the program. */
export function openApiDocuments(infos: readonly ResourceInfo[], version: string): Map<string, Json> {
  const byPath = Map.groupBy(infos, groupVersionPath)
  return new Map(Array.from(byPath, ([path, group]) => [path, documentOf(group, version)]))
}

function documentOf(infos: readonly ResourceInfo[], version: string): Json {
  return {
    openapi: '3.0.0',
    info: { title: 'Reflash', version },
    paths: Object.assign({}, ...infos.map(pathsOf)) as Json,
    components: { schemas: Object.assign({ ...metaSchemas }, ...infos.map(schemasOf)) as Json },
  }
}

const metaPrefix = 'io.k8s.apimachinery.pkg.apis.meta.v1'

const text = (description: string, more: Partial<Schema> = {}): Schema => ({
  type: 'string',
  description,
  ...more,
})
const texts = (description: string): Schema => ({
  type: 'object',
  description,
  additionalProperties: { type: 'string' },
})

const metaSchemas: Record<string, Schema> = {
  [`${metaPrefix}.ObjectMeta`]: {
    type: 'object',
    description: 'What every object has, whatever its kind.',
    properties: {
      name: text('Unique among the objects of its kind in the namespace.'),
      namespace: text('The namespace it is in; `default` where its file names none.'),
      labels: texts('Words to select objects by.'),
      annotations: texts('Notes of people and tools.'),
      uid: text('Unique in time: an object that went and came back has another one.'),
      resourceVersion: text('Changes with every change; ascends over all objects.'),
      generation: { type: 'integer', format: 'int64', description: 'Counts the changes of spec.' },
      creationTimestamp: text('When it was first seen.', { format: 'date-time' }),
      deletionTimestamp: text('Since when it is about to go: it waits for its finalizers.', {
        format: 'date-time',
      }),
      finalizers: {
        type: 'array',
        description: 'What has to be done before it goes.',
        items: { type: 'string' },
      },
    },
  },
  [`${metaPrefix}.ListMeta`]: {
    type: 'object',
    description: 'What every list has.',
    properties: {
      resourceVersion: text('The version that this list shows; a watch goes on from here.'),
      continue: text('Give it back to get the next page.'),
      remainingItemCount: {
        type: 'integer',
        format: 'int64',
        description: 'How many come after this page, where that is known.',
      },
    },
  },
  [`${metaPrefix}.Status`]: {
    type: 'object',
    description: 'Why a request was refused.',
    properties: {
      apiVersion: text('v1'),
      kind: text('Status'),
      status: text('Always Failure.'),
      reason: text('One word for programs.'),
      message: text('The same for people.'),
      code: { type: 'integer', format: 'int32', description: 'The HTTP status.' },
    },
  },
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })

/** As `dev.reflash.v1alpha1.Device`; kubectl shows what comes after the last dot. */
function schemaName({ group, version, kind }: ResourceInfo): string {
  const prefix = group === '' ? 'io.k8s.api.core' : group.split('.').toReversed().join('.')
  return `${prefix}.${version}.${kind}`
}

function schemasOf(info: ResourceInfo): Json {
  const { description, schema = { type: 'object' } } = info
  const name = schemaName(info)
  const identity = {
    apiVersion: text(`Always ${info.group === '' ? '' : `${info.group}/`}${info.version}.`),
    kind: text('The kind of the object.'),
  }
  const metadata = (of: string): Json => ({
    description: 'What every object has, whatever its kind.',
    allOf: [ref(`${metaPrefix}.${of}`)],
  })
  return {
    [name]: {
      description,
      ...schema,
      properties: { ...schema.properties, ...identity, metadata: metadata('ObjectMeta') },
      'x-kubernetes-group-version-kind': [gvkOf(info)],
    },
    [`${name}List`]: {
      type: 'object',
      description: `A list of ${info.plural}.`,
      required: ['items'],
      properties: {
        ...identity,
        metadata: metadata('ListMeta'),
        items: { type: 'array', description: 'In the order of their names.', items: ref(name) },
      },
      'x-kubernetes-group-version-kind': [{ ...gvkOf(info), kind: `${info.kind}List` }],
    },
  }
}

const query = (name: string, type: 'string' | 'integer' | 'boolean', description: string): Json => ({
  name,
  in: 'query',
  description,
  schema: { type },
})
const inPath = (name: string): Json => ({ name, in: 'path', required: true, schema: { type: 'string' } })

const listParameters = [
  query(
    'labelSelector',
    'string',
    'Only objects with such labels, as `site=lobby` or `site in (lobby,hall)`.',
  ),
  query('fieldSelector', 'string', 'Only objects with such fields, as `metadata.name=ap-17`.'),
  query('limit', 'integer', 'At most so many, and a word to continue with.'),
  query('continue', 'string', 'The word that the page before gave.'),
  query('watch', 'boolean', 'Follow what changes, one JSON object a line.'),
  query('resourceVersion', 'string', 'Follow from this version; for a list, one that is not older.'),
  query('resourceVersionMatch', 'string', '`NotOlderThan` or `Exact`.'),
  query('timeoutSeconds', 'integer', 'End following after so long.'),
  query('allowWatchBookmarks', 'boolean', 'Say now and then how far one has followed.'),
  query('sendInitialEvents', 'boolean', 'Begin following with everything that is there.'),
]

const answer = (description: string, schema: Json): Json => ({
  description,
  content: { 'application/json': { schema } },
})

function pathsOf(info: ResourceInfo): Json {
  const root = `/${groupVersionPath(info)}`
  const name = schemaName(info)
  const operation = (action: string, parameters: Json[], schema: Json): Json => ({
    description: `${action === 'list' ? `Lists or follows ${info.plural}` : `Reads one of the ${info.plural}`}.`,
    parameters,
    responses: { 200: answer('OK', schema) },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvkOf(info),
  })
  const list = operation('list', listParameters, ref(`${name}List`))
  const get = operation('get', [], ref(name))
  if (!info.namespaced) {
    return {
      [`${root}/${info.plural}`]: { get: list },
      [`${root}/${info.plural}/{name}`]: { parameters: [inPath('name')], get, patch: refusedPatch(info) },
    }
  }
  const inNamespace = `${root}/namespaces/{namespace}/${info.plural}`
  const parameters = [inPath('namespace'), inPath('name')]
  return {
    [`${root}/${info.plural}`]: { get: list },
    [inNamespace]: { parameters: [inPath('namespace')], get: list },
    [`${inNamespace}/{name}`]: { parameters, get, patch: refusedPatch(info) },
    ...(hasStatus(info) ? { [`${inNamespace}/{name}/status`]: { parameters, get } } : {}),
  }
}

/** The kinds of others have no `/status` of their own here. */
export const hasStatus = ({ group }: ResourceInfo): boolean => group !== ''

/**
 * A patch is refused, and described all the same: `kubectl apply` asks here first whether the server validates fields, and
 * where it does not, complains of a missing document instead of showing the refusal.
 */
const refusedPatch = (info: ResourceInfo): Json => ({
  description: 'Refused: the API is read only, and the manifests are what to edit.',
  parameters: [query('fieldValidation', 'string', 'Taken and not used.')],
  responses: { 405: answer('Method Not Allowed', ref(`${metaPrefix}.Status`)) },
  'x-kubernetes-action': 'patch',
  'x-kubernetes-group-version-kind': gvkOf(info),
})
