/** Prometheus' text format, read as strictly as its own server does, and a little more. */

export interface Family {
  type: string
  help: string
  series: { name: string; labels: Record<string, string>; value: number }[]
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const header = /^# (HELP|TYPE) (\S+) (.*)$/
const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y
const suffixes: Record<string, RegExp> = { histogram: /_(bucket|sum|count)$/, summary: /_(sum|count)$/ }

/** @throws Error for anything that is not the format: twice the same series, a sample without its family, a bad escape. */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  for (const line of text.split('\n')) {
    if (line === '') continue
    if (line.startsWith('#')) readHeader(line, families)
    else readSample(line, families, seen)
  }
  return families
}

function readHeader(line: string, families: Map<string, Family>): void {
  const [, what, name, rest] = header.exec(line) ?? []
  if (what === undefined || !metricName.test(name!)) throw new Error(`bad header: ${line}`)
  if (what === 'HELP') {
    if (families.has(name!)) throw new Error(`described twice: ${name}`)
    families.set(name!, { type: '', help: rest!, series: [] })
    return
  }
  const family = families.get(name!)
  if (!family || family.type !== '') throw new Error(`bad type: ${line}`)
  family.type = rest!
}

function readSample(line: string, families: Map<string, Family>, seen: Set<string>): void {
  const [, name, labelText = '', valueText] = sample.exec(line) ?? []
  if (name === undefined) throw new Error(`bad sample: ${line}`)
  const family =
    families.get(name) ??
    [...families].find(([own, { type }]) => suffixes[type] && name.replace(suffixes[type], '') === own)?.[1]
  if (!family) throw new Error(`a sample of nothing: ${line}`)
  const value = valueText === '+Inf' ? Infinity : Number(valueText)
  if (Number.isNaN(value) && valueText !== 'Nan') throw new Error(`bad value: ${line}`)
  const id = `${name}{${labelText}}`
  if (seen.has(id)) throw new Error(`twice: ${id}`)
  seen.add(id)
  family.series.push({ name, labels: readLabels(labelText), value })
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (label.lastIndex = 0; label.lastIndex < text.length;) {
    const [, name, value] = label.exec(text) ?? []
    if (name === undefined || name in labels) throw new Error(`bad labels: ${text}`)
    labels[name] = value!.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  return labels
}

/** The value of one series; undefined where there is none. Labels that are not named may be anything. */
export function valueOf(
  families: Map<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''))
  const found = (family?.series ?? []).filter(
    (series) =>
      series.name === name && Object.entries(labels).every(([key, value]) => series.labels[key] === value),
  )
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}
