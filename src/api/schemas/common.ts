/** Building blocks of every schema, in the vocabulary that a structural CRD accepts verbatim. */
import { Type, type Static, type TObject, type TProperties, type TSchemaOptions } from 'typebox'
import { labelKeyPattern } from '../schema.ts'

type Options = TSchemaOptions & { description: string }

/** A closed object: an unknown field is an error in a file and is pruned by an API server. */
export const closed = <P extends TProperties>(properties: P, options: Options): TObject<P> =>
  Type.Object(properties, options)

export const oneOf = <const V extends readonly string[]>(values: V, options: Options) =>
  Type.Unsafe<V[number]>({ type: 'string', enum: [...values], ...options })

export const text = (maxLength: number, options: Options) => Type.String({ maxLength, ...options })

export const integer = (minimum: number, maximum: number, options: Options) =>
  Type.Integer({ minimum, maximum, ...options })

/** A length of time as operators write it; `maxLength` keeps the pattern cheap. */
export const duration = (options: Options) =>
  Type.String({ pattern: '^([0-9]+(ms|s|m|h|d))+$', minLength: 2, maxLength: 32, ...options })

/** RFC 3339. What an API server takes for the format alone is more: a small t, an hour +99:99, text behind the end. */
export const time = (options: Options) =>
  Type.String({
    format: 'date-time',
    pattern:
      '^[0-9-]+T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$',
    maxLength: 64,
    ...options,
  })

/** Lower-case hexadecimal SHA-256, whole: a shortened digest would match by chance. */
export const sha256 = (options: Options) =>
  Type.String({ pattern: '^[0-9a-f]{64}$', maxLength: 64, ...options })

const dnsName = { pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$', minLength: 1, maxLength: 253 }

/** A reference to an object in the same namespace: there is deliberately no namespace field. */
export const reference = (options: Options) =>
  closed(
    { name: Type.String({ ...dnsName, description: 'Name of the object, in the same namespace.' }) },
    options,
  )

const labelValue = { type: 'string', pattern: '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$', maxLength: 63 } as const

export const labelSelector = (options: Options) =>
  closed(
    {
      matchLabels: Type.Optional(
        Type.Unsafe<Record<string, string>>({
          type: 'object',
          additionalProperties: labelValue,
          maxProperties: 64,
          description: 'Labels that must all be equal.',
        }),
      ),
      matchExpressions: Type.Optional(
        Type.Array(
          closed(
            {
              key: Type.String({ pattern: labelKeyPattern, maxLength: 317, description: 'Label key.' }),
              operator: oneOf(['In', 'NotIn', 'Exists', 'DoesNotExist'], { description: 'How to compare.' }),
              values: Type.Optional(
                Type.Array(Type.Unsafe<string>({ ...labelValue, description: 'A label value.' }), {
                  maxItems: 64,
                  description: 'Values for In and NotIn; absent for the others.',
                }),
              ),
            },
            { description: 'One requirement.' },
          ),
          { maxItems: 16, description: 'Requirements that must all hold.' },
        ),
      ),
    },
    options,
  )

/** What an API server asks of the selectors of its own kinds and a schema alone cannot say. */
export const selectorRules = [
  {
    rule: `!has(self.selector.matchLabels) || self.selector.matchLabels.all(key, key.matches('${labelKeyPattern}'))`,
    message: 'labels need keys such as site or example.com/site',
    fieldPath: '.selector.matchLabels',
  },
  {
    rule: "!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(one, (one.operator in ['In', 'NotIn']) == (has(one.values) && size(one.values) > 0))",
    message: 'In and NotIn need values, Exists and DoesNotExist have none',
    fieldPath: '.selector.matchExpressions',
  },
] as const

export const conditions = Type.Optional(
  Type.Array(
    closed(
      {
        type: Type.String({
          pattern: '^[A-Z][A-Za-z]*$',
          maxLength: 63,
          description: 'Name of the condition.',
        }),
        status: oneOf(['True', 'False', 'Unknown'], { description: 'Whether it holds.' }),
        reason: Type.String({
          pattern: '^[A-Z][A-Za-z]*$',
          maxLength: 63,
          description: 'One word from a closed list.',
        }),
        message: text(1024, { description: 'What an operator should know.' }),
        lastTransitionTime: time({ description: 'When status, reason or message last changed.' }),
        observedGeneration: Type.Optional(
          integer(0, 1e15, { description: 'The generation this was judged from.' }),
        ),
      },
      { description: 'One condition.' },
    ),
    {
      maxItems: 16,
      description: 'Conditions, by type.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    },
  ),
)

export const observedGeneration = Type.Optional(
  integer(0, 1e15, { description: 'The generation of the spec that this status was made from.' }),
)

/** Options of `sysupgrade` that leave the configuration in place, typed. */
export const upgradeOptions = (options: Options) =>
  closed(
    {
      keepConfig: Type.Optional(
        Type.Unsafe<true>({
          type: 'boolean',
          enum: [true],
          description: 'Configuration is kept. Wiping it is not offered.',
        }),
      ),
      keepChangedFiles: Type.Optional(
        Type.Boolean({ description: 'Keep all changed files in /etc (sysupgrade -c).' }),
      ),
      keepOverlay: Type.Optional(
        Type.Boolean({ description: 'Keep all changed files of the overlay (sysupgrade -o, 19.07 or newer).' }),
      ),
      skipUnchangedFiles: Type.Optional(
        Type.Boolean({ description: 'Leave unchanged files out of the backup (sysupgrade -u, 19.07 or newer).' }),
      ),
      keepPackageList: Type.Optional(
        Type.Boolean({ description: 'Keep a list of installed packages in the backup (sysupgrade -k, 19.07 or newer).' }),
      ),
      keepPartitionTable: Type.Optional(
        Type.Boolean({ description: 'Leave the partition table as it is (sysupgrade -p, 17.01 or newer).' }),
      ),
      ignoreMinorCompatVersion: Type.Optional(
        Type.Boolean({
          description:
            'Accept an image whose minor compat version differs (--ignore-minor-compat-version, 22.03 or newer).',
        }),
      ),
      freeMemory: Type.Optional(
        Type.Boolean({
          description: 'Stop services while memory is short; they are started again if nothing is flashed. Default true.',
        }),
      ),
    },
    options,
  )

export type UpgradeOptions = Static<ReturnType<typeof upgradeOptions>>
export type LabelSelector = Static<ReturnType<typeof labelSelector>>
