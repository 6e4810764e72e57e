import { ServerError, type Api } from './api-client.ts'
import { asItems, type ReadObject } from './api-objects.ts'
import type { CliContext } from './context.ts'
import type { Paint } from './paint.ts'
import { renderTop, type TopView } from './render-top.ts'
import { collectionPath, readKind } from './resource-names.ts'
import { readFleetStatus } from './status-client.ts'

const pollMs = 1000
const maxOperations = 20
const inFlight = ['Succeeded', 'Failed', 'Cancelled', 'Queued']
  .map((phase) => `status.phase!=${phase}`)
  .join(',')

/** The fleet at this moment. */
export async function readTop(api: Api, clock: CliContext['clock']): Promise<TopView> {
  const { status } = await readFleetStatus(api)
  return { status: status!, operations: await readInFlight(api), nowMs: clock.now() }
}

/** Draws the fleet in place each second, until the signal; a server that goes away meanwhile is waited for. */
export async function showLive(
  api: Api,
  { clock, signal, stdout }: CliContext,
  paint: Paint,
): Promise<never> {
  let view = await readTop(api, clock)
  let etag: string | undefined
  let drawn = 0
  let trouble: string | undefined
  const draw = (): void => {
    const lines = renderTop(view, paint)
    if (trouble !== undefined) lines.push('', paint('yellow', `… trying again: ${trouble}`))
    const width = Math.max(40, stdout.columns ?? 100)
    const fitting = lines.slice(0, Math.max(5, (stdout.rows ?? 50) - 2)).map((line) => cutTo(line, width - 1))
    stdout.write(`${drawn > 0 ? `\u001b[${drawn}A` : ''}\u001b[J${fitting.join('\n')}\n`)
    drawn = fitting.length
  }
  for (;;) {
    draw()
    await clock.sleep(pollMs, signal)
    try {
      const next = await readFleetStatus(api, etag)
      etag = next.etag
      const status = next.status ?? view.status
      const isQuiet = next.status === undefined && status.operations.inFlight === 0
      const operations = isQuiet ? view.operations : await readInFlight(api)
      view = { status, operations, nowMs: clock.now() }
      trouble = undefined
    } catch (error) {
      if (signal.aborted || !(error instanceof ServerError && error.mayPass)) throw error
      trouble = error.message
    }
  }
}

/** None for a token of one namespace, which may count but not list what is in all of them. */
async function readInFlight(api: Api): Promise<readonly ReadObject[]> {
  const search = new URLSearchParams({ fieldSelector: inFlight, limit: String(maxOperations) })
  try {
    const { body } = await api.json(`${collectionPath(readKind('UpgradeOperation'))}?${search.toString()}`)
    return asItems(body)
  } catch (error) {
    if (error instanceof ServerError && error.status === 403) return []
    throw error
  }
}

/** Escape sequences take no room; a line that is cut ends its own colours. */
function cutTo(line: string, width: number): string {
  // oxlint-disable-next-line no-control-regex
  const parts = line.split(/(\u001b\[[0-9;]*m)/)
  let left = width
  const kept = parts.map((part, at) => {
    if (at % 2 === 1) return part
    const characters = Array.from(part).slice(0, left)
    left -= characters.length
    return characters.join('')
  })
  return kept.join('')
}
