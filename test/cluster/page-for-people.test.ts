/** What stands before an API server answers in its place, with a page for people: that says nothing about any object. */
import { describe, expect, test } from 'vitest'
import { createRandom } from '../../src/adapters/clock/random.ts'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { createNamespaceBrake } from '../../src/adapters/kubernetes/namespace-brake.ts'
import { createConfigMapRecords } from '../../src/adapters/kubernetes/record-store.ts'
import { createKubernetesStore } from '../../src/adapters/kubernetes/resource-store.ts'
import { createClusterSecrets } from '../../src/adapters/kubernetes/secrets.ts'
import type { ApiAnswer, Transport } from '../../src/adapters/kubernetes/transport.ts'
import type { Category } from '../../src/api/resources.ts'
import { category } from '../support/category.ts'

const key = { namespace: 'default', name: 'a' }
const stored: Category = {
  ...category('a'),
  metadata: {
    ...category('a').metadata,
    uid: 'u',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  status: {},
}

function clusterThatSays(answer: ApiAnswer) {
  const clock = createManualClock()
  const transport: Transport = {
    request: async () => answer,
    stream: () => Promise.reject(new Error('not asked')),
    close: async () => {},
  }
  return {
    store: createKubernetesStore({ transport, clock, random: createRandom('page'), namespaces: undefined }),
    records: createConfigMapRecords(transport, 'default'),
    secrets: createClusterSecrets(transport, clock),
    brake: createNamespaceBrake(transport, 'default', clock),
  }
}

const page = '<html><body>Please log in</body></html>'
const answers: [string, ApiAnswer][] = [
  ['200 and a page', { status: 200, body: page }],
  ['200 and nothing', { status: 200, body: '' }],
  ['200 and JSON of somebody else', { status: 200, body: { error: 'log in first' } }],
  ['403 and a page', { status: 403, body: page }],
  ['404 and a page', { status: 404, body: page }],
  ['404 and JSON of somebody else', { status: 404, body: { message: 'no route' } }],
  ['409 and a page', { status: 409, body: page }],
  ['422 and a page', { status: 422, body: page }],
]

describe.each(answers)('%s', (_, answer) => {
  const { store, records, secrets, brake } = clusterThatSays(answer)

  test.each<[string, () => Promise<unknown>]>([
    ['no object', () => store.get('Category', key)],
    ['no list', () => store.list('Category')],
    ['no new object', () => store.create(category('a'))],
    ['no status that was saved', () => store.saveStatus(stored)],
    ['no finalizers that were saved', () => store.setFinalizers(stored, [])],
    ['no object that was deleted', () => store.delete('Category', key)],
    ['no Secret', () => secrets.read(key)],
    ['no record', () => records.get('a')],
    ['no records', () => records.list('a')],
    ['no record that was put', () => records.put('a', 1)],
    ['no record that was deleted', () => records.delete('a')],
  ])('is %s, and may pass', async (_what, ask) => {
    await expect(ask()).rejects.toMatchObject({ code: 'ServerUnavailable', recoverable: true })
  })

  test('stops all starts', async () => {
    expect(await brake.halted()).toMatch(
      /^it cannot be asked whether starts are stopped: namespace default: /,
    )
  })
})
