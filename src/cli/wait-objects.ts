import { parseDuration } from '../core/duration.ts'
import { openApi, type Api } from './api-client.ts'
import type { ReadObject } from './api-objects.ts'
import { CliError, exitCodes, type CliContext } from './context.ts'
import { follow, followedObjects } from './follow.ts'
import type { Selection } from './list-pages.ts'
import { collectionPath, fullName, readTargets, type ResourceName, type Target } from './resource-names.ts'
import type { NamespaceFlags, ServerFlags } from './server-flags.ts'
import { goalWords, readGoal, standing, standsGone, type Goal, type Standing } from './wait-goal.ts'

export interface WaitFlags extends ServerFlags, NamespaceFlags {
  for: string
  all?: boolean
  selector?: string
}

/** Longest wait for one answer; `--timeout` is about the whole. */
const requestTimeout = '30s'

/** Runs `wait`. Resolves to the exit code: 0 met by all, 1 never met by one, 124 too late. */
export async function waitForObjects(
  words: readonly string[],
  flags: WaitFlags,
  context: CliContext,
): Promise<number> {
  const goal = readGoal(flags.for)
  const timeoutMs = parseDuration(flags.timeout)
  const groups = groupsOf(readTargets(words), flags)
  const stop = new AbortController()
  const late = new DOMException('too late', 'TimeoutError')
  const cancel = context.clock.after(timeoutMs, () => stop.abort(late))
  const signal = AbortSignal.any([context.signal, stop.signal])
  const api = openApi({ ...flags, timeout: requestTimeout }, { ...context, signal })
  const pending = new Set<string>()
  try {
    const waits = groups.map((group) =>
      waitForGroup({ api, goal, group, pending, context: { ...context, signal } }),
    )
    try {
      await Promise.all(waits)
    } finally {
      // One that fails ends the others.
      stop.abort(late)
      await Promise.allSettled(waits)
    }
    return exitCodes.success
  } catch (error) {
    if (error !== late) throw error
    const open = pending.size === 0 ? words.join(' ') : [...pending].slice(0, 5).join(', ')
    const more = pending.size > 5 ? ` and ${pending.size - 5} more` : ''
    context.stderr.write(
      `error: timed out after ${flags.timeout} waiting for ${goalWords(goal)} of ${open}${more}\n`,
    )
    return exitCodes.timeout
  } finally {
    cancel()
    api.close()
  }
}

interface Group {
  resource: ResourceName
  path: string
  selection: Selection
  /** Undefined for whatever is there. */
  names: ReadonlySet<string> | undefined
}

/** One watch for each kind. */
function groupsOf(targets: readonly Target[], flags: WaitFlags): Group[] {
  const isNamed = targets.every(({ name }) => name !== undefined)
  const isOpen = flags.all === true || flags.selector !== undefined
  if (!isNamed && !isOpen) throw new CliError('name the objects, or give --all or -l', exitCodes.usage)
  if (isNamed && isOpen)
    throw new CliError('objects cannot be named together with --all or -l', exitCodes.usage)
  return [...new Set(targets.map(({ resource }) => resource))].map((resource): Group => {
    const names = targets.flatMap((target) =>
      target.resource === resource && target.name !== undefined ? [target.name] : [],
    )
    const one = names.length === 1 ? { fields: `metadata.name=${names[0]!}` } : {}
    return {
      resource,
      path: collectionPath(resource, flags.namespace),
      selection: flags.selector === undefined ? one : { labels: flags.selector },
      names: isOpen ? undefined : new Set(names),
    }
  })
}

interface Wait {
  api: Api
  goal: Goal
  group: Group
  /** Names, in words, of what is still waited for. */
  pending: Set<string>
  context: CliContext
}

/** Resolves when all objects of the group, as it was at first, have met the goal. @throws CliError when one never will. */
async function waitForGroup({ api, goal, group, pending, context }: Wait): Promise<void> {
  const { resource, path, selection, names } = group
  const open = new Set<string>(names)
  const settle = (name: string, stand: Standing): void => {
    const word = fullName(resource, name)
    if (stand.state === 'Never') {
      throw new CliError(`${word} will not meet ${goalWords(goal)}: ${stand.message}`, exitCodes.failure)
    }
    if (stand.state === 'Waiting') {
      pending.add(word)
      return
    }
    open.delete(name)
    pending.delete(word)
    context.stdout.write(`${word} ${goal.type === 'delete' ? 'deleted' : 'condition met'}\n`)
  }
  const kept = ({ metadata }: ReadObject): boolean => open.has(metadata.name)
  let isFirst = true
  for await (const changes of follow(api, followedObjects(api, path, selection), context)) {
    if (isFirst) {
      const found = new Set(changes.map(({ item }) => item.metadata.name))
      if (names === undefined) for (const name of found) open.add(name)
      if (open.size === 0 && goal.type !== 'delete')
        throw new CliError(`no ${resource.plural} found`, exitCodes.failure)
      for (const name of open) if (!found.has(name)) settle(name, missing(goal, resource, name))
      isFirst = false
    }
    for (const { type, item } of changes.filter((change) => kept(change.item))) {
      const object = { ...item, kind: resource.kind }
      settle(item.metadata.name, type === 'DELETED' ? standsGone(goal) : standing(goal, object))
    }
    if (open.size === 0) return
  }
}

function missing(goal: Goal, resource: ResourceName, name: string): Standing {
  if (goal.type === 'delete') return { state: 'Met' }
  throw new CliError(`${resource.plural} "${name}" not found`, exitCodes.failure)
}
