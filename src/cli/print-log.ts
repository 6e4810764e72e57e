import { parseDuration } from '../core/duration.ts'
import { ServerError, type Api } from './api-client.ts'
import { asObject, isRecord, type ReadObject } from './api-objects.ts'
import { CliError, exitCodes, type CliContext } from './context.ts'
import { listObjects } from './list-pages.ts'
import { operationLog, type LogEntry } from './operation-log.ts'
import { createPaint } from './paint.ts'
import { renderLogEntry, renderProgress } from './render-log.ts'
import { checkName, collectionPath, readKind, readTargets } from './resource-names.ts'
import type { ColorFlags, NamespaceFlags, ServerFlags } from './server-flags.ts'
import type { StatusKey } from './status-client.ts'

export interface LogsFlags extends ServerFlags, NamespaceFlags, ColorFlags {
  output: 'text' | 'json'
  follow?: boolean
  since?: string
}

/** Prints the log of the operation, or of the device's latest one, that the word names. */
export async function printLog(api: Api, word: string, flags: LogsFlags, context: CliContext): Promise<void> {
  const { stdout, stderr, clock } = context
  const paint = createPaint(stdout, flags.color, context.env)
  const sinceMs = flags.since === undefined ? -Infinity : clock.now() - parseDuration(flags.since)
  const key = await findOperation(api, word, flags.namespace)
  let hasProgress = false
  const clear = (): void => {
    if (hasProgress) stderr.write('\r\u001b[K')
    hasProgress = false
  }
  try {
    for await (const entry of operationLog(api, key, { keepOn: flags.follow ?? false, context })) {
      if (isBefore(entry, sinceMs)) continue
      if (flags.output === 'json') {
        stdout.write(`${JSON.stringify({ ...entry.fields, type: entry.type })}\n`)
        continue
      }
      clear()
      const line = renderLogEntry(entry, paint)
      if (line !== undefined) stdout.write(`${line}\n`)
      else if (entry.type === 'progress' && stderr.isTTY) {
        stderr.write(renderProgress(entry))
        hasProgress = true
      }
    }
  } finally {
    clear()
  }
}

function isBefore({ fields }: LogEntry, sinceMs: number): boolean {
  const time = fields['time']
  return typeof time === 'string' && Date.parse(time) < sinceMs
}

/** A bare name is an operation, else a device. */
async function findOperation(api: Api, word: string, namespace: string): Promise<StatusKey> {
  if (word.includes('/')) {
    const { resource, name = '' } = readTargets([word])[0]!
    if (resource.kind === 'UpgradeOperation') return { namespace, name }
    if (resource.kind === 'Device') return latestOf(api, { namespace, name })
    throw new CliError('only operations and devices have a log', exitCodes.usage)
  }
  const key = { namespace, name: checkName(word) }
  const operation = await readOptional(api, `${operationsPath(namespace)}/${key.name}`)
  return operation ? key : latestOf(api, key)
}

const operationsPath = (namespace: string): string => collectionPath(readKind('UpgradeOperation'), namespace)

/** The operation that has claimed the device, else the one that began last. */
async function latestOf(api: Api, { namespace, name }: StatusKey): Promise<StatusKey> {
  const device = await readOptional(api, `${collectionPath(readKind('Device'), namespace)}/${name}`)
  if (!device) {
    throw new CliError(
      `there is no operation and no device ${name} in namespace ${namespace}`,
      exitCodes.failure,
    )
  }
  const current = device.status?.['operationRef']
  if (isRecord(current) && typeof current['name'] === 'string') {
    return { namespace, name: checkName(current['name']) }
  }
  const { list } = await listObjects(api, operationsPath(namespace), {
    fields: `spec.deviceRef.name=${name}`,
  })
  const begun = ({ metadata }: ReadObject): string => metadata.creationTimestamp ?? ''
  const latest = list.reduce<ReadObject | undefined>(
    (last, next) => (last && begun(last) > begun(next) ? last : next),
    undefined,
  )
  if (latest) return { namespace, name: checkName(latest.metadata.name) }
  throw new CliError(`device ${name} has had no upgrade yet`, exitCodes.failure)
}

async function readOptional(api: Api, path: string): Promise<ReadObject | undefined> {
  try {
    return asObject((await api.json(path)).body)
  } catch (error) {
    if (error instanceof ServerError && error.status === 404) return undefined
    throw error
  }
}
