import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpRequest } from './http-faults.ts'

/** Answers of an earlier moment. */
export interface AnswerMemory {
  /** Keeps the answer while it passes, if it is a good one. */
  watch(key: string, source: IncomingMessage): void
  /** Gives it again; false when there is none. */
  replay(key: string, sink: ServerResponse): boolean
}

/** What asks for the same again, at whatever moment. */
export const answerKey = ({ path, query }: HttpRequest, accept = ''): string => {
  const same = new URLSearchParams([...query].filter(([name]) => !name.startsWith('resourceVersion')))
  same.sort()
  return `${accept} ${path}?${same.toString()}`
}

export const createAnswerMemory = (): AnswerMemory => {
  const answers = new Map<string, { contentType: string; body: Buffer }>()
  return {
    watch: (key, source) => {
      if (source.statusCode !== 200) return
      const chunks: Buffer[] = []
      source.on('data', (chunk: Buffer) => chunks.push(chunk))
      source.on('end', () => {
        const contentType = source.headers['content-type'] ?? 'application/json'
        answers.set(key, { contentType, body: Buffer.concat(chunks) })
      })
    },
    replay: (key, sink) => {
      const answer = answers.get(key)
      if (answer) sink.writeHead(200, { 'content-type': answer.contentType }).end(answer.body)
      return answer !== undefined
    },
  }
}
