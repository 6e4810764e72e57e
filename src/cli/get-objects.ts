import { openApi, ServerError, type Api } from './api-client.ts'
import { asObject, type ReadObject, type Table } from './api-objects.ts'
import { CliError, exitCodes, type CliContext } from './context.ts'
import { follow, followedObjects, followedRows, type Followed } from './follow.ts'
import { listObjects, listTable, readRow, type Selection } from './list-pages.ts'
import {
  readOutput,
  renderEach,
  renderObjects,
  type Named,
  type ObjectOutput,
  type Output,
} from './render-objects.ts'
import { createTablePrinter, type TableStyle } from './render-table.ts'
import { collectionPath, fullName, readTargets, type ResourceName, type Target } from './resource-names.ts'
import type { NamespaceFlags, ServerFlags } from './server-flags.ts'
import { sortedBy } from './sort-objects.ts'
import { untilStopped } from './stopped.ts'

export interface GetFlags extends ServerFlags, NamespaceFlags {
  output: string
  watch?: boolean
  selector?: string
  fieldSelector?: string
  allNamespaces?: boolean
  sortBy?: string
  headers: boolean
  showLabels?: boolean
}

/** What to read, and how to print it. */
interface Request {
  api: Api
  targets: readonly Target[]
  selection: Selection
  /** Undefined for all of them. */
  namespace: string | undefined
  sortBy: string | undefined
  style: TableStyle
  context: CliContext
}

/** Runs `get`. Resolves to the exit code: 1 when one of the named objects was not there. */
export async function getObjects(
  words: readonly string[],
  flags: GetFlags,
  context: CliContext,
): Promise<number> {
  const targets = readTargets(words)
  const output = readOutput(flags.output)
  refuseContradictions(targets, flags)
  const api = openApi(flags, context, { warns: true })
  const request: Request = {
    api,
    targets,
    selection: {
      ...(flags.selector === undefined ? {} : { labels: flags.selector }),
      ...(flags.fieldSelector === undefined ? {} : { fields: flags.fieldSelector }),
    },
    namespace: flags.allNamespaces ? undefined : flags.namespace,
    sortBy: flags.sortBy,
    style: {
      wide: output.type === 'table' && output.wide,
      namespaces: flags.allNamespaces ?? false,
      labels: flags.showLabels ?? false,
      headers: flags.headers,
      prefix: '',
    },
    context,
  }
  try {
    if (flags.watch) {
      await untilStopped(watchObjects(request, output), context.signal)
      return exitCodes.success
    }
    return output.type === 'table' ? await printTables(request) : await printObjects(request, output)
  } finally {
    api.close()
  }
}

function refuseContradictions(targets: readonly Target[], flags: GetFlags): void {
  const refuse = (sentence: string): never => {
    throw new CliError(sentence, exitCodes.usage)
  }
  const isNamed = targets.some(({ name }) => name !== undefined)
  const isSelected = flags.selector !== undefined || flags.fieldSelector !== undefined
  if (isNamed && flags.allNamespaces) refuse('an object cannot be named together with --all-namespaces')
  if (isNamed && isSelected) refuse('an object cannot be named together with a selector')
  if (flags.watch && targets.length > 1) refuse('--watch takes one kind, or one object')
}

const pathOf = ({ namespace }: Request, { resource, name }: Target): string =>
  `${collectionPath(resource, namespace)}${name === undefined ? '' : `/${name}`}`

async function printTables(request: Request): Promise<number> {
  const { context } = request
  const { found, failures } = await readEach(request, (target) => readTable(request, target))
  const tables = mergeByKind(found)
  const filled = tables.filter(({ table }) => table.rows.length > 0)
  const isMixed = new Set(request.targets.map(({ resource }) => resource)).size > 1
  const texts = filled.map(({ resource, table }) => {
    const prefix = isMixed ? fullName(resource, '') : ''
    const rows =
      request.sortBy === undefined ? table.rows : sortedBy(request.sortBy, table.rows, ({ object }) => object)
    return createTablePrinter({
      ...request.style,
      namespaces: request.style.namespaces && resource.namespaced,
      prefix,
    }).rows(table.columnDefinitions, rows)
  })
  context.stdout.write(texts.join('\n'))
  if (filled.length === 0 && failures.length === 0) sayNothingFound(request)
  return tellFailures(failures, context)
}

async function readTable(request: Request, target: Target): Promise<Table> {
  const whole = request.sortBy !== undefined
  if (target.name !== undefined) return readRow(request.api, pathOf(request, target), whole)
  return (await listTable(request.api, pathOf(request, target), request.selection, whole)).list
}

async function printObjects(request: Request, output: ObjectOutput): Promise<number> {
  const { found, failures } = await readEach(request, (target) => readObjects(request, target))
  const objects = found.flatMap(({ resource, value }) => value.map((object): Named => ({ resource, object })))
  const sorted =
    request.sortBy === undefined ? objects : sortedBy(request.sortBy, objects, ({ object }) => object)
  const isOne = request.targets.length === 1 && request.targets[0]!.name !== undefined
  if (sorted.length > 0 || failures.length === 0) {
    request.context.stdout.write(renderObjects(output, sorted, isOne))
  }
  return tellFailures(failures, request.context)
}

async function readObjects(request: Request, target: Target): Promise<readonly ReadObject[]> {
  const path = pathOf(request, target)
  if (target.name !== undefined) return [asObject((await request.api.json(path)).body)]
  const { list } = await listObjects(request.api, path, request.selection)
  return list.map((object) => ({ ...object, ...typeOf(target.resource, object) }))
}

/** Items of a list say what they are only in the name of the list. */
const typeOf = (resource: ResourceName, object: ReadObject): { apiVersion: string; kind: string } => ({
  apiVersion: object.apiVersion ?? (resource.group === '' ? 'v1' : `${resource.group}/v1alpha1`),
  kind: object.kind ?? resource.kind,
})

interface Found<T> {
  resource: ResourceName
  value: T
}

/** Reads one target after the other; a named object that is not there does not keep the others from being printed. */
async function readEach<T>(
  { targets }: Request,
  read: (target: Target) => Promise<T>,
): Promise<{ found: Found<T>[]; failures: string[] }> {
  const found: Found<T>[] = []
  const failures: string[] = []
  for (const target of targets) {
    try {
      found.push({ resource: target.resource, value: await read(target) })
    } catch (error) {
      const isGone = error instanceof ServerError && error.status === 404 && target.name !== undefined
      if (!isGone) throw error
      failures.push(error.message)
    }
  }
  return { found, failures }
}

function tellFailures(failures: readonly string[], { stderr }: CliContext): number {
  for (const failure of failures) stderr.write(`error: ${failure}\n`)
  return failures.length > 0 ? exitCodes.failure : exitCodes.success
}

/** Rows of objects that were named one by one stand in one table for each kind. */
function mergeByKind(found: readonly Found<Table>[]): { resource: ResourceName; table: Table }[] {
  const byKind = new Map<ResourceName, Table>()
  for (const { resource, value } of found) {
    const table = byKind.get(resource)
    if (table) for (const row of value.rows) table.rows.push(row)
    else byKind.set(resource, value)
  }
  return [...byKind].map(([resource, table]) => ({ resource, table }))
}

function sayNothingFound({ namespace, context }: Request): void {
  context.stderr.write(`No resources found${namespace === undefined ? '' : ` in ${namespace} namespace`}.\n`)
}

async function watchObjects(request: Request, output: Output): Promise<void> {
  const [target] = request.targets
  const { resource, name } = target!
  const path = collectionPath(resource, request.namespace)
  const selection = name === undefined ? request.selection : { fields: `metadata.name=${name}` }
  const style = { ...request.style, namespaces: request.style.namespaces && resource.namespaced }
  if (output.type === 'table') {
    const printer = createTablePrinter(style)
    let columns: Table['columnDefinitions'] = []
    const whole = request.sortBy !== undefined
    const rows = followedRows({ api: request.api, path, selection, whole }, (next) => (columns = next))
    await printChanges(request, rows, (changed) => (changed.length > 0 ? printer.rows(columns, changed) : ''))
    return
  }
  await printChanges(request, followedObjects(request.api, path, selection), (changed) =>
    changed
      .map((object) => renderEach(output, { resource, object: { ...object, ...typeOf(resource, object) } }))
      .join(''),
  )
}

/** The list in its order, then each change as it comes. */
async function printChanges<T>(
  request: Request,
  followed: Followed<T>,
  render: (items: readonly T[]) => string,
): Promise<void> {
  const { api, targets, context } = request
  const [target] = targets
  let isList = true
  const { sortBy } = request
  for await (const changes of follow(api, followed, context)) {
    if (isList && changes.length === 0 && target?.name !== undefined) {
      throw new CliError(`${target.resource.plural} "${target.name}" not found`, exitCodes.failure)
    }
    const items = changes.map(({ item }) => item)
    const isSorted = isList && sortBy !== undefined
    isList = false
    if (items.length > 0) {
      context.stdout.write(render(isSorted ? sortedBy(sortBy, items, followed.objectOf) : items))
    }
  }
}
