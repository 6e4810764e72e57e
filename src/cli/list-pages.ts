import { ServerError, type Api } from './api-client.ts'
import { asItems, asTable, listMetadata, type ReadObject, type Table } from './api-objects.ts'

const pageSize = 500
/** Asks for a Table, as kubectl does. */
export const tableAccept =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'

/** Which objects of a collection, in the words of the API. */
export interface Selection {
  labels?: string
  fields?: string
}

/** What is asked of a collection beside its path. */
export const selectionQuery = ({ labels, fields }: Selection): Record<string, string> => ({
  ...(labels === undefined ? {} : { labelSelector: labels }),
  ...(fields === undefined ? {} : { fieldSelector: fields }),
})

/** A whole list and the version at which it was so. */
export interface Listed<T> {
  list: T
  resourceVersion: string
}

/** All objects of a collection, page by page. */
export async function listObjects(
  api: Api,
  path: string,
  selection: Selection,
): Promise<Listed<ReadObject[]>> {
  const items: ReadObject[] = []
  const resourceVersion = await eachPage(api, path, { query: selectionQuery(selection) }, (body) => {
    for (const item of asItems(body)) items.push(item)
  })
  return { list: items, resourceVersion }
}

/** All objects of a collection as the server's rows; with `whole`, each row carries its whole object. */
export async function listTable(
  api: Api,
  path: string,
  selection: Selection,
  whole = false,
): Promise<Listed<Table>> {
  const table: Table = { columnDefinitions: [], rows: [] }
  const query = { ...selectionQuery(selection), ...(whole ? { includeObject: 'Object' } : {}) }
  const resourceVersion = await eachPage(api, path, { query, accept: tableAccept }, (body) => {
    const page = asTable(body)
    if (table.columnDefinitions.length === 0) table.columnDefinitions = page.columnDefinitions
    for (const row of page.rows) table.rows.push(row)
  })
  return { list: table, resourceVersion }
}

/** One object as a table of one row. */
export async function readRow(api: Api, path: string, whole = false): Promise<Table> {
  const { body } = await api.json(`${path}${whole ? '?includeObject=Object' : ''}`, { accept: tableAccept })
  return asTable(body)
}

interface PageRequest {
  query: Record<string, string>
  accept?: string
}

/** Takes every page of a list; one that has changed too much between two pages is begun again. */
async function eachPage(
  api: Api,
  path: string,
  request: PageRequest,
  take: (body: unknown) => void,
): Promise<string> {
  const bodies = await readPages(api, path, request).catch((error: unknown) => {
    if (error instanceof ServerError && error.status === 410) return readPages(api, path, request)
    throw error
  })
  for (const body of bodies) take(body)
  return listMetadata(bodies[0]).resourceVersion ?? '0'
}

async function readPages(api: Api, path: string, { query, accept }: PageRequest): Promise<unknown[]> {
  const bodies: unknown[] = []
  let token: string | undefined
  do {
    const search = new URLSearchParams({
      ...query,
      limit: String(pageSize),
      ...(token === undefined ? {} : { continue: token }),
    })
    const { body } = await api.json(`${path}?${search.toString()}`, accept === undefined ? {} : { accept })
    bodies.push(body)
    const next = listMetadata(body).continue
    if (next === token && next !== undefined) throw new ServerError('the server gave the same page twice')
    token = next === '' ? undefined : next
  } while (token !== undefined)
  return bodies
}
