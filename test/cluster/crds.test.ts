/** The CustomResourceDefinitions on a real API server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kinds } from '../../src/api/kinds.ts'
import { apiVersion, group, version, type Schema } from '../../src/api/schema.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { builtPrograms, notBuilt } from '../support/built-programs.ts'
import { installCrds, type CustomResourceDefinition } from '../support/crds.ts'
import { makeKubectl } from '../support/kubectl.ts'
import { unlessMissing } from '../support/requires.ts'
import { until } from '../support/until.ts'
import { least } from './specs.ts'

const kubectls = builtPrograms('kubectl')

unlessMissing(missingApiServer())('the definitions', () => {
  let server: ApiServer
  let definitions: CustomResourceDefinition[]
  beforeAll(async () => {
    server = await startApiServer()
    definitions = await installCrds(server)
  })
  afterAll(() => server?.stop())

  test('are one for each kind', () => {
    expect(definitions.map(({ metadata }) => metadata.name).toSorted()).toEqual(
      kinds.map(({ plural }) => `${plural}.${group}`).toSorted(),
    )
  })

  test('are established, and nothing is to be said of their schemas', () => {
    for (const { metadata, status } of definitions) {
      const conditions = status.conditions.map((condition) => `${condition.type}=${condition.status}`)
      expect(conditions.toSorted(), metadata.name).toEqual(['Established=True', 'NamesAccepted=True'])
    }
  })

  test('do not change when they are applied again', async () => {
    const again = await installCrds(server)
    const versionOf = ({ metadata }: CustomResourceDefinition) => [metadata.name, metadata.resourceVersion]
    expect(again.map(versionOf)).toEqual(definitions.map(versionOf))
  })

  test('keep one condition of each type in a status', async () => {
    const path = `/apis/${apiVersion}/namespaces/default/categories`
    const category = { apiVersion, kind: 'Category', metadata: { name: 'a' }, spec: least.Category }
    const made = (await server.request('POST', path, { body: category })).body as object
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: 'Accepted',
      message: '',
      lastTransitionTime: '2026-11-23T18:00:00Z',
    }
    const write = (conditions: object[]) =>
      server.request('PUT', `${path}/a/status?dryRun=All`, { body: { ...made, status: { conditions } } })
    expect(await write([ready])).toMatchObject({ status: 200, body: { status: { conditions: [ready] } } })
    expect(await write([ready, ready])).toMatchObject({
      status: 422,
      body: { details: { causes: [{ field: 'status.conditions[1]', reason: 'FieldValueDuplicate' }] } },
    })
  })

  unlessMissing(notBuilt(kubectls))('are explained by kubectl', () => {
    let kubeconfig: string
    beforeAll(async () => {
      kubeconfig = await server.writeKubeconfig(server.adminToken)
      // It is put together some time after the definitions are established.
      await until('the whole OpenAPI document of our kinds', async () => {
        const { body } = await server.request('GET', `/openapi/v3/apis/${apiVersion}`)
        const text = JSON.stringify(body)
        return kinds.every(({ kind }) => text.includes(`.${version}.${kind}"`))
      })
    })

    describe.each(kubectls)('$version', (program) => {
      const explain = (...args: string[]): Promise<string> =>
        makeKubectl(program, server.url, server.folder, ['--kubeconfig', kubeconfig]).read('explain', ...args)

      test.each(kinds)('of a $kind', async ({ kind, singular, description, spec, status }) => {
        const text = await explain(singular, '--recursive')
        expect(text).toMatch(new RegExp(`^GROUP: +${group}\nKIND: +${kind}\nVERSION: +${version}\n`))
        expect(text.replaceAll(/\s+/g, ' ')).toContain(description)
        const lines = text.trimEnd().split('\n')
        // Of a choice with many words only some are shown.
        const fields = lines.slice(lines.findIndex((line) => line.startsWith('  spec\t')))
        const required = spec.default === undefined ? ['spec'] : []
        expect(fields.filter((line) => !line.trimStart().startsWith('enum: '))).toEqual(
          treeOf({ properties: { spec, status }, required }),
        )
      })

      test('of a choice', async () => {
        expect(await explain('upol.spec.state')).toContain(
          'ENUM:\n    Plan\n    Run\n    Pause\n    Abort\n\nDESCRIPTION:\n    Plan starts nothing;',
        )
      })
    })
  })
})

/** The fields of a schema as `explain --recursive` prints them. */
function treeOf({ properties = {}, required = [], items }: Schema, indent = '  '): string[] {
  if (items) return treeOf(items, indent)
  return Object.entries(properties)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, schema]) => [
      `${indent}${name}\t<${typeOf(schema)}>${required.includes(name) ? ' -required-' : ''}`,
      ...treeOf(schema, `${indent}  `),
    ])
}

function typeOf({ type, items, properties, additionalProperties }: Schema): string {
  if (items) return `[]${typeOf(items)}`
  if (additionalProperties) return `map[string]${typeOf(additionalProperties)}`
  return properties ? 'Object' : type!
}
