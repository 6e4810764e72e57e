/** One event of a stream of server-sent events. */
export interface ServerEvent {
  /** `message` where the stream says none. */
  type: string
  /** The last id that the stream has said. */
  id: string | undefined
  data: string
}

const maxDataCharacters = 1024 * 1024

/** Reads server-sent events from their lines; comments are passed over, and an event that is cut off is none. */
export async function* serverEvents(
  lines: AsyncIterable<string>,
): AsyncGenerator<ServerEvent, void, undefined> {
  let type = ''
  let id: string | undefined
  let data: string[] = []
  let characters = 0
  for await (const raw of lines) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (line === '') {
      if (data.length > 0 || type !== '') {
        yield { type: type === '' ? 'message' : type, id, data: data.join('\n') }
      }
      type = ''
      data = []
      characters = 0
      continue
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? []
    if (field === 'event') type = value
    if (field === 'id') id = value
    characters += value.length
    if (field === 'data' && characters <= maxDataCharacters) data.push(value)
  }
}
