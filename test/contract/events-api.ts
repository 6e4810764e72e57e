import { beforeAll, describe, expect, it } from 'vitest'
import type { ApiAnswer, ApiRequest } from '../../src/adapters/kubernetes/transport.ts'

const collection = '/apis/events.k8s.io/v1/namespaces/default/events'
const device = {
  apiVersion: 'reflash.dev/v1alpha1',
  kind: 'Device',
  namespace: 'default',
  name: 'ap-1',
  uid: 'one',
}

const eventOf = (name: string, more: object = {}): object => ({
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  metadata: { namespace: 'default', name },
  eventTime: '2026-01-01T00:00:00.123000Z',
  reportingController: 'reflash.dev/controller',
  reportingInstance: 'reflash-0',
  action: 'Probe',
  reason: 'Unreachable',
  regarding: device,
  note: 'does not answer',
  type: 'Warning',
  ...more,
})
const seriesOf = (count: number): object => ({
  series: { count, lastObservedTime: '2026-01-01T00:01:00.000000Z' },
})

/** What the publisher of events relies on, of a real API server and of the one that tests stand in for it. */
export const eventsApiContract = (
  name: string,
  open: () => Promise<{ request: (request: ApiRequest) => Promise<ApiAnswer> }>,
): void => {
  describe(`events API: ${name}`, () => {
    let api: Awaited<ReturnType<typeof open>>
    beforeAll(async () => {
      api = await open()
    })
    const create = (event: object) => api.request({ method: 'POST', path: collection, body: event })
    const patch = (event: string, body: object) =>
      api.request({
        method: 'PATCH',
        path: `${collection}/${event}`,
        contentType: 'application/merge-patch+json',
        body,
      })

    it('makes an event once, and counts it up', async () => {
      expect(await create(eventOf('ap-1.a'))).toMatchObject({ status: 201, body: eventOf('ap-1.a') })
      expect(await create(eventOf('ap-1.a'))).toMatchObject({
        status: 409,
        body: { reason: 'AlreadyExists' },
      })
      expect(await patch('ap-1.a', seriesOf(2))).toMatchObject({
        status: 200,
        body: eventOf('ap-1.a', seriesOf(2)),
      })
      expect(await patch('ap-1.a', seriesOf(9))).toMatchObject({ status: 200, body: seriesOf(9) })
    })

    it('does not know one that was never made, and makes one that has a count already', async () => {
      expect(await patch('ap-1.b', seriesOf(2))).toMatchObject({ status: 404, body: { reason: 'NotFound' } })
      expect(await create(eventOf('ap-1.b', seriesOf(2)))).toMatchObject({ status: 201, body: seriesOf(2) })
    })

    it.each([
      ['a name of 254 characters', 422, { metadata: { namespace: 'default', name: 'a'.repeat(254) } }],
      ['a name that no host may have', 422, { metadata: { namespace: 'default', name: 'ap_1' } }],
      ['a time with milliseconds', 400, { eventTime: '2026-01-01T00:00:00.123Z' }],
      ['no action', 422, { action: '' }],
      ['an action of 129 bytes', 422, { action: 'a'.repeat(129) }],
      ['no reason', 422, { reason: '' }],
      ['a reason of 129 bytes', 422, { reason: 'a'.repeat(129) }],
      ['a note of 1025 bytes', 422, { note: `${'a'.repeat(1023)}ü` }],
      ['no instance', 422, { reportingInstance: '' }],
      ['an instance of 129 bytes', 422, { reportingInstance: 'a'.repeat(129) }],
      ['a series of one', 422, seriesOf(1)],
      ['another type', 422, { type: 'Error' }],
    ])('refuses %s', async (_what, status, more) => {
      expect(await create(eventOf('ap-1.c', more))).toMatchObject({ status })
    })

    it('takes what is as long as it may be', async () => {
      const long = {
        metadata: { namespace: 'default', name: 'a'.repeat(253) },
        action: 'a'.repeat(128),
        reason: 'a'.repeat(128),
        note: `${'a'.repeat(1022)}ü`,
        reportingInstance: 'a'.repeat(128),
      }
      expect(await create(eventOf('', long))).toMatchObject({ status: 201, body: long })
    })

    it('lets nothing but the series change', async () => {
      await create(eventOf('ap-1.d'))
      for (const change of [
        { note: 'else' },
        { reason: 'Else' },
        { action: 'Else' },
        { regarding: { uid: 'x' } },
      ])
        expect(await patch('ap-1.d', change)).toMatchObject({ status: 422 })
    })
  })
}
