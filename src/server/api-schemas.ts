import type { Schema } from '../api/schema.ts'
import { checkTitles } from '../core/admit.ts'
import { countNames } from '../core/assess.ts'
import { blockedReasons } from '../core/reasons.ts'
import { transitions } from '../core/transitions.ts'

/** A JSON Schema that may also point at one of `apiSchemas`. */
export interface ApiSchema extends Omit<
  Schema,
  'properties' | 'items' | 'additionalProperties' | `x-kubernetes-${string}`
> {
  $ref?: string
  properties?: Record<string, ApiSchema>
  items?: ApiSchema
  additionalProperties?: ApiSchema | false
  const?: string
  oneOf?: ApiSchema[]
}

const text = (description: string): ApiSchema => ({ type: 'string', description })
const time = (description: string): ApiSchema => ({ type: 'string', format: 'date-time', description })
const count = (description: string): ApiSchema => ({ type: 'integer', minimum: 0, description })
const yesOrNo = (description: string): ApiSchema => ({ type: 'boolean', description })
const word = (words: readonly string[], description: string): ApiSchema => ({
  type: 'string',
  enum: [...words],
  description,
})
const counts = (description: string): ApiSchema => ({
  type: 'object',
  description,
  additionalProperties: { type: 'integer', minimum: 0 },
})
const list = (items: ApiSchema, description: string): ApiSchema => ({ type: 'array', items, description })

/** Fields whose name ends in `?` may be absent. */
function record(fields: Record<string, ApiSchema>, description?: string): ApiSchema {
  const bare = (name: string): string => name.replace(/\?$/, '')
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    required: Object.keys(fields).filter((name) => !name.endsWith('?')),
    properties: Object.fromEntries(Object.entries(fields).map(([name, schema]) => [bare(name), schema])),
  }
}

const schemaPlace = '#/components/schemas/'
export type SchemaName = keyof typeof apiSchemas
export const schemaRef = (name: SchemaName): ApiSchema => ({ $ref: `${schemaPlace}${name}` })
export const schemaNameOf = (ref: string): string => ref.slice(schemaPlace.length)

const version = text('The version of the store that this was counted at.')
const reason = word(Object.keys(blockedReasons), 'One word from a closed list; see docs/reasons.md.')
const untilTime = time('When it would pass, where that is known.')
const place = { namespace: text('Namespace.'), name: text('Name.') }
const policySummary = {
  ...place,
  target: text('The build that its devices should run.'),
  state: word(['Plan', 'Run', 'Pause', 'Abort'], 'What the operator wants of it.'),
  'phase?': text('Where it is, in one word.'),
  counts: {
    type: 'object' as const,
    description: 'Devices by where they stand; one device may be in several counts.',
    properties: Object.fromEntries(
      countNames.map((name) => [name, { type: 'integer' as const, minimum: 0 }]),
    ),
  },
  converged: word(['True', 'False', 'Unknown'], 'Status of its condition Converged.'),
  'message?': text('What a person is to read first.'),
}

const line = (type: string, fields: Record<string, ApiSchema>): ApiSchema =>
  record({
    id: count('Ascends; give the last one back in Last-Event-ID.'),
    time: time('When it happened.'),
    type: { type: 'string', const: type, description: 'What kind of line it is.' },
    ...fields,
  })

/** Everything that our own routes answer. A test compares real answers with it. */
export const apiSchemas = {
  FleetStatus: record({
    resourceVersion: version,
    version: text('The version of Reflash.'),
    devices: record(
      {
        total: count('All devices.'),
        reachable: counts('By status of the condition Reachable: True, False, Unknown.'),
        upToDate: counts('By status of the condition UpToDate: True, False, Unknown.'),
        blocked: counts('Devices off their target, by the one reason why they are not upgraded now.'),
      },
      'Devices that you may see.',
    ),
    operations: record(
      {
        inFlight: count('Operations that hold a slot.'),
        byPhase: counts('Operations that are kept, by phase.'),
      },
      'Operations that you may see.',
    ),
    governor: record(
      {
        inFlight: count('Upgrades in flight in the whole process.'),
        maxInFlight: count('--max-in-flight.'),
        startsLastMinute: count('Flashes started in the last minute.'),
        maxStartsPerMinute: count('--max-starts-per-minute.'),
        'stop?': record(
          { reason: word(['Halted', 'LostLimit'], 'One word.'), message: text('What ends it.') },
          'Why nothing may start at all.',
        ),
      },
      'The ceilings that no manifest lifts.',
    ),
    policies: list({ $ref: `${schemaPlace}PolicySummary` }, 'By namespace and name.'),
    models: list(
      record({
        category: text('Category.'),
        model: text('As the device says, else its board name, else `unknown`.'),
        total: count('Devices of that model.'),
        upToDate: count('Those that run their target.'),
        running: counts('By the build that they run, else by what they say they run, else `unknown`.'),
      }),
      'By category and model; beyond 500 models the rest is one, `other`.',
    ),
  }),
  PolicySummary: record(policySummary),
  PolicyStatus: record({
    resourceVersion: version,
    ...policySummary,
    models: list(
      record({
        model: text('As the device says, else its board name, else `unknown`.'),
        matched: count('Devices that the policy selects.'),
        onTarget: count('Those that run the target.'),
        inFlight: count('Those with an upgrade in flight.'),
        failed: count('Those whose upgrade failed.'),
        failing: list(
          record({
            device: text('Name of the device.'),
            reason,
            message: text('What happened.'),
          }),
          'At most 20 devices in trouble, failed or not: first those that need a person.',
        ),
        more: count('Devices in trouble beyond those.'),
      }),
      'By model.',
    ),
  }),
  DeviceStatus: record({
    resourceVersion: text('The version of the device.'),
    ...place,
    'model?': text('Model.'),
    'board?': text('Board name.'),
    'running?': text('The build that it runs, else what it says.'),
    'target?': text('The build that it should run.'),
    'policy?': text('The policy that owns it.'),
    'operation?': text('The operation that has it, or is about to.'),
    'lastProbeTime?': time('When it last answered.'),
    onTarget: yesOrNo('It runs its target; then nothing is asked.'),
    admitted: yesOrNo('Nothing speaks against an upgrade now.'),
    checks: list(
      record({
        id: word(Object.keys(checkTitles), 'The check.'),
        title: text('What is asked.'),
        outcome: word(
          ['Passed', 'Failed', 'NotReached'],
          'The first that failed is the reason; those after it were not asked.',
        ),
        'reason?': reason,
        'message?': text('What it waits for.'),
        'until?': untilTime,
      }),
      'Each admission check, in order.',
    ),
  }),
  BlockedDevices: record({
    resourceVersion: version,
    items: list(
      record({
        ...place,
        'target?': text('The build that it should run.'),
        reason,
        message: text('What it waits for.'),
        'until?': untilTime,
      }),
      'By namespace and name.',
    ),
    'continue?': text('Give it back as `?continue=` for the next page; absent on the last.'),
  }),
  LiveLine: {
    oneOf: [
      line('Phase', {
        phase: word(
          Object.keys(transitions),
          'The phase that was entered, or that has something new to say.',
        ),
        message: text('What happened, for an operator.'),
      }),
      line('Progress', {
        percent: { type: 'integer', minimum: 0, maximum: 100, description: 'Per cent of the upload.' },
        sentBytes: count('Bytes sent.'),
        totalBytes: count('Bytes to send.'),
      }),
      line('Log', { text: text('A line, as printable text.') }),
    ],
  },
  Problem: record({
    type: { type: 'string', const: 'about:blank', description: 'Nothing beyond the status code.' },
    title: text('The words of the status code.'),
    status: count('The status code.'),
    detail: text('What to do about it.'),
  }),
} as const satisfies Record<string, ApiSchema>
