import { parseObject } from './api-objects.ts'
import { ServerError, type Api } from './api-client.ts'
import type { CliContext } from './context.ts'
import { serverEvents, type ServerEvent } from './sse.ts'
import { operationLogPath, type StatusKey } from './status-client.ts'

const firstPauseMs = 250
const longestPauseMs = 5000
/** The server sends a comment every 15 s. */
const idleMs = 45_000

/** A line of the live log, as the server says it: `type` is phase, progress, log or missed. */
export interface LogEntry {
  type: string
  fields: Record<string, unknown>
}

/**
 * The log of one operation, each line once and in order: a broken connection goes on after the last line that came. Ends
 * with the operation, or, without `keepOn`, with what there is. @throws ServerError.
 */
export async function* operationLog(
  api: Api,
  key: StatusKey,
  { keepOn, context }: { keepOn: boolean; context: CliContext },
): AsyncGenerator<LogEntry, void, undefined> {
  const { clock, signal, stderr } = context
  const path = `${operationLogPath(key)}${keepOn ? '' : '?follow=false'}`
  let lastId: string | undefined
  let hasAnswered = false
  let pauseMs = firstPauseMs
  for (;;) {
    const headers: Record<string, string> = lastId === undefined ? {} : { 'Last-Event-ID': lastId }
    try {
      const lines = api.lines(path, { accept: 'text/event-stream', headers, idleMs })
      for await (const event of serverEvents(lines)) {
        hasAnswered = true
        pauseMs = firstPauseMs
        if (event.type === 'end') return
        lastId = event.id ?? lastId
        yield entryOf(event)
      }
      if (!keepOn) return
    } catch (error) {
      if (signal.aborted || !hasAnswered || !(error instanceof ServerError && error.mayPass)) throw error
      if (pauseMs === firstPauseMs) stderr.write(`${error.message}; trying again\n`)
    }
    hasAnswered = true
    await clock.sleep(pauseMs, signal)
    pauseMs = Math.min(longestPauseMs, pauseMs * 2)
  }
}

const entryOf = ({ type, data }: ServerEvent): LogEntry => ({ type, fields: parseObject(data) ?? {} })
