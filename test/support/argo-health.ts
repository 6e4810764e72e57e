import { spawnSync } from 'node:child_process'

export interface Health {
  status: string
  message?: string
}

/**
 * Runs a health check as Argo CD does: Lua 5.1 with the object as `obj`, and of the standard libraries no more than the
 * base and `table`. @throws Error with what Lua says. Needs `lua5.1`.
 */
export function argoHealth(script: string, object: unknown): Health {
  const program = `
local write = io.write
for name in pairs(package.loaded) do
  if name ~= "_G" and name ~= "table" then _G[name] = nil end
end
getmetatable("").__index = nil
obj = ${literal(object)}
local health = assert(loadstring(${literal(script)}))()
write(health.status, "\\0", health.message or "")
`
  const { status, stdout, stderr } = spawnSync('lua5.1', ['-'], { input: program, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  const [word, message] = stdout.split('\0')
  return { status: word!, ...(message === '' ? {} : { message: message! }) }
}

/** A value of JSON as Lua; null is nil. */
function literal(value: unknown): string {
  if (typeof value === 'string') {
    const bytes = Array.from(Buffer.from(value), (byte) => `\\${String(byte).padStart(3, '0')}`)
    return `"${bytes.join('')}"`
  }
  if (Array.isArray(value)) return `{${value.map(literal).join(', ')}}`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, item]) => `[${literal(key)}] = ${literal(item)}`)
      .join(', ')}}`
  }
  return value === null || value === undefined ? 'nil' : JSON.stringify(value)
}
