import { openApi } from './api-client.ts'
import { asTable, listMetadata } from './api-objects.ts'
import type { CliContext } from './context.ts'
import { tableAccept } from './list-pages.ts'
import { collectionPath, kindWords, readKind, type ResourceName } from './resource-names.ts'
import type { ServerFlags } from './server-flags.ts'

/** A person waits for the next letter. */
const deadlineMs = 300
const pageSize = 500

interface Given {
  operands: readonly string[]
  flags: Readonly<Record<string, unknown>>
  /** Name of the argument that is being written, as the help shows it. */
  argument: string
  typed: string
}

/** The kinds or names that may stand for an argument; empty where nothing is known. Never rejects. */
export async function objectWords(given: Given, context: CliContext): Promise<readonly string[]> {
  const { argument, operands, typed } = given
  const slash = typed.indexOf('/')
  if (slash !== -1) {
    const prefix = typed.slice(0, slash + 1)
    return (await namesOf(typed.slice(0, slash), given, context)).map((name) => prefix + name)
  }
  if (argument === 'name') return namesOf('namespaces', given, context)
  if (argument !== 'kind' && argument !== 'object') return namesOf(argument, given, context)
  const [kind, ...names] = operands
  if (kind === undefined) return kindWords
  return (await namesOf(kind, given, context)).filter((name) => !names.includes(name))
}

async function namesOf(word: string, { flags }: Given, context: CliContext): Promise<string[]> {
  const resource = kindOf(word)
  if (resource === undefined || typeof flags['server'] !== 'string') return []
  const late = new AbortController()
  const cancel = context.clock.after(deadlineMs, () => late.abort())
  const names: string[] = []
  try {
    await readNames(resource, flags, {
      names,
      context: { ...context, signal: AbortSignal.any([context.signal, late.signal]) },
    })
  } catch {
    // Whatever is wrong, there is nobody to tell; the names of the pages that came are good.
  } finally {
    cancel()
  }
  return names
}

function kindOf(word: string): ResourceName | undefined {
  try {
    return readKind(word)
  } catch {
    return undefined
  }
}

async function readNames(
  resource: ResourceName,
  flags: Given['flags'],
  { names, context }: { names: string[]; context: CliContext },
): Promise<void> {
  const all = flags['allNamespaces'] === true || typeof flags['namespace'] !== 'string'
  const path = collectionPath(resource, all ? undefined : String(flags['namespace']))
  const api = openApi({ ...(flags as unknown as ServerFlags), timeout: `${deadlineMs}ms` }, context)
  try {
    let next: string | undefined = ''
    while (next !== undefined) {
      const search = new URLSearchParams({
        limit: String(pageSize),
        ...(next === '' ? {} : { continue: next }),
      })
      const { body } = await api.json(`${path}?${search.toString()}`, { accept: tableAccept })
      names.push(
        ...asTable(body)
          .rows.map(({ object }) => object.metadata.name)
          .filter(isName),
      )
      next = listMetadata(body).continue || undefined
    }
  } finally {
    api.close()
  }
}

/** Shells expand what they are given: nothing but the letters of a name may reach them. */
const isName = (name: string): boolean => /^[a-z0-9.-]{1,253}$/.test(name)
