import { streamHeaders } from './text-stream.ts'

/** An answer of get, list or watch. */
export const jsonResponse = (
  body: string | ReadableStream<Uint8Array> | null,
  headers: Record<string, string> = {},
): Response =>
  new Response(body, {
    headers: {
      'Content-Type': 'application/json',
      Vary: 'Accept',
      ...(body instanceof ReadableStream ? streamHeaders : {}),
      ...headers,
    },
  })
