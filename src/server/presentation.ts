import type { ApiObject, ResourceInfo } from './collection.ts'
import { rowText, tableStart, type Included, type TableLayout, type TableVersion } from './table.ts'

/** How objects are written out for one request. All texts are JSON. */
export interface Presentation {
  listStart(metadata: object): string
  /** Items are joined by commas, and `]}` ends the list. */
  item(object: ApiObject): string
  one(object: ApiObject): string
  /** What a watch says of an object; the first one may say more. */
  watched(object: ApiObject): string
  bookmark(metadata: object): string
}

const texts = new WeakMap<ApiObject, string>()

/** The object as JSON: written once, however many read it. */
export function jsonOf(object: ApiObject): string {
  const known = texts.get(object)
  if (known !== undefined) return known
  const text = JSON.stringify(object)
  texts.set(object, text)
  return text
}

export const apiVersionOf = ({ group, version }: ResourceInfo): string =>
  group === '' ? version : `${group}/${version}`

export function asObjects(info: ResourceInfo): Presentation {
  const { kind } = info
  const apiVersion = apiVersionOf(info)
  return {
    listStart: (metadata) =>
      `${JSON.stringify({ kind: `${kind}List`, apiVersion, metadata }).slice(0, -1)},"items":[`,
    item: jsonOf,
    one: jsonOf,
    watched: jsonOf,
    bookmark: (metadata) => JSON.stringify({ kind, apiVersion, metadata }),
  }
}

/** Rows with ages as of `now`. */
export function asTable(
  layout: TableLayout,
  options: { version: TableVersion; included: Included; now: () => number },
): Presentation {
  const { version, included, now } = options
  /** A watch says the columns once. */
  let columns = layout.columns
  const row = (object: ApiObject): string =>
    rowText(layout.cells(object, now()), object, { version, included, objectText: () => jsonOf(object) })
  const rowAlone = (object: ApiObject, of: typeof columns): string => {
    const { resourceVersion } = object.metadata
    return `${tableStart(version, { resourceVersion }, of)}${row(object)}]}`
  }
  return {
    listStart: (metadata) => tableStart(version, metadata, layout.columns),
    item: row,
    one: (object) => rowAlone(object, layout.columns),
    watched(object) {
      const text = rowAlone(object, columns)
      columns = []
      return text
    },
    bookmark: (metadata) => `${tableStart(version, metadata, [])}]}`,
  }
}
