import { hash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { Fleet } from '../../src/controllers/fleet.ts'
import { apiDocsRoutes } from '../../src/server/api-docs.ts'
import { apiRoutes, paths } from '../../src/server/api-routes.ts'
import { apiSchemas, schemaNameOf } from '../../src/server/api-schemas.ts'
import { openApiDocument } from '../../src/server/openapi.ts'
import { fieldsOf } from '../../src/server/schema-fields.ts'
import { createServerApp } from '../../src/server/server.ts'

const docs = apiDocsRoutes({ version: '0.1.0' })

/** The whole application; nothing but its routes is looked at. */
function createWholeApp() {
  const clock = createManualClock()
  const nothing = { emit: () => {} }
  return createServerApp({
    version: '0.1.0',
    clock,
    collections: [],
    collectionsLoaded: () => true,
    fleet: new Fleet(clock),
    fleetLoaded: () => true,
    status: {
      fleet: () => Promise.reject(new Error('not asked')),
      policy: () => undefined,
      device: async () => undefined,
      blocked: async () => ({ resourceVersion: '1', items: [] }),
    },
    stop: async () => undefined,
    live: { since: () => ({ lines: [], missed: 0 }), onChange: () => () => {} },
    images: { open: () => (async function* () {})() },
    redaction: { show: (object) => object, text: (text) => text },
    health: { live: [], ready: [] },
    metrics: { ...nothing, contentType: 'text/plain', text: async () => '', observe: () => {} } as never,
    gate: undefined,
    limits: { maxWatches: 1, maxWatchesPerToken: 1 },
    onBug: (error) => {
      throw error
    },
  })
}

/** Described by /openapi/v3, in the shape of Kubernetes. */
const isKubernetes = (path: string): boolean =>
  /^\/(?:apis?|version|openapi\/v3)(?:\/(?!status\/)|$)/.test(path)

describe('the table of routes', () => {
  test('is every route of the application that has not the shape of Kubernetes', () => {
    const { routes } = createWholeApp()
    const served = new Set(
      routes
        .filter(({ method }) => method === 'GET')
        .map(({ path }) => path)
        .filter((path) => !isKubernetes(path)),
    )
    expect([...served].toSorted()).toEqual(Object.values(paths).toSorted())
    expect(apiRoutes.map(({ id }) => id).toSorted()).toEqual(Object.keys(paths).toSorted())
  })

  test('names every parameter of a path, and no other', () => {
    for (const { id, parameters } of apiRoutes) {
      const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
      expect(inPath).toEqual([...paths[id].matchAll(/:(\w+)/g)].map(([, name]) => name))
    }
  })

  test('is written in sentences', () => {
    const texts = apiRoutes.flatMap(({ description, parameters, answers }) => [
      description,
      ...parameters.map((parameter) => parameter.description),
      ...answers.map((answer) => answer.description),
    ])
    expect(texts.filter((text) => !/^[A-Z`].*\.$/.test(text))).toEqual([])
  })
})

describe('the document', () => {
  test('is OpenAPI 3.1 whose references all lead somewhere', async () => {
    const response = await docs.request('/openapi.json')
    const text = await response.text()
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(openApiDocument('0.1.0'))))
    expect(JSON.parse(text)).toMatchObject({ openapi: '3.1.0', info: { title: 'Reflash', version: '0.1.0' } })
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) =>
      schemaNameOf(reference!),
    )
    expect(references.length).toBeGreaterThan(20)
    expect(references.filter((name) => !Object.hasOwn(apiSchemas, name))).toEqual([])
    const again = await docs.request('/openapi.json', {
      headers: { 'If-None-Match': response.headers.get('etag')! },
    })
    expect(again.status).toBe(304)
  })

  test('says what each field is', () => {
    for (const [name, schema] of Object.entries(apiSchemas)) {
      const silent = fieldsOf(schema).filter(
        ({ path, description }) => description === '' && !path.startsWith('counts.'),
      )
      expect([name, silent]).toEqual([name, []])
    }
  })
})

describe('the page', () => {
  test('runs no script, loads nothing, and has a policy that holds to its one style', async () => {
    const response = await docs.request('/docs')
    const page = await response.text()
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy')!
    expect(policy).toContain("default-src 'none'")
    const styles = [...page.matchAll(/<style>(.*?)<\/style>/gs)].map(([, style]) => style!)
    expect(styles).toHaveLength(1)
    expect(policy).toContain(`'sha256-${hash('sha256', styles[0]!, 'base64')}'`)
    expect(page).not.toMatch(/<script|\son\w+=|style=|src=/)
    const links = [...page.matchAll(/href="([^"]*)"/g)].map(([, link]) => link!)
    expect(links.filter((link) => !/^(#|data:,$|\/openapi\.json$)/.test(link))).toEqual([])
    const ids = new Set([...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id!))
    expect(links.filter((link) => link.startsWith('#') && !ids.has(link.slice(1)))).toEqual([])
    const again = await docs.request('/docs', { headers: { 'If-None-Match': response.headers.get('etag')! } })
    expect([again.status, await again.text()]).toEqual([304, ''])
  })

  test('shows every route with its example, and escapes what it shows', async () => {
    const page = await (await docs.request('/docs')).text()
    for (const { summary, id } of apiRoutes) {
      expect(page).toContain(`<h2>${summary.replaceAll("'", '&#39;')}</h2>`)
      expect(page).toContain(`id="${id}"`)
    }
    expect(page).toContain('devices?reason=Unreachable&amp;limit=100&#39;</pre>')
    expect(await (await apiDocsRoutes({ version: '<b>' }).request('/docs')).text()).toContain('&lt;b&gt;')
  })
})
