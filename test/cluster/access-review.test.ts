/** What is asked of an API server about readers, and what its answers mean. */
import { describe, expect, test } from 'vitest'
import { createAccessReview } from '../../src/adapters/kubernetes/access-review.ts'
import type { ApiAnswer, ApiRequest } from '../../src/adapters/kubernetes/transport.ts'
import { ReflashError } from '../../src/core/errors.ts'
import { refusal } from '../support/events-api.ts'

const ann = { username: 'ann', uid: '7', groups: ['staff'], extra: { 'a/b': ['c'] } }
const user = { name: 'ann', uid: '7', groups: ['staff'], extra: { 'a/b': ['c'] } }
const devices = {
  verb: 'list',
  group: 'reflash.dev',
  version: 'v1alpha1',
  resource: 'devices',
  namespace: 'a',
} as const

/** Asks an API server that says this, one answer after the other. */
function reviewsWith(...answers: (ApiAnswer | { status: 'status'; of: unknown })[]) {
  const requests: ApiRequest[] = []
  const request = async (asked: ApiRequest): Promise<ApiAnswer> => {
    requests.push(asked)
    const next = answers.shift()
    if (!next) throw new ReflashError('ServerUnavailable', 'the API server does not answer')
    if (next.status !== 'status') return next
    return { status: 201, body: { apiVersion: 'a/v1', kind: 'Review', status: next.of } }
  }
  const reviews = createAccessReview({
    request,
    stream: () => Promise.reject(new Error('not asked')),
    close: async () => {},
  })
  return { reviews, specs: () => requests.map(({ body }) => (body as { spec: unknown }).spec) }
}
const says = (of: unknown) => ({ status: 'status' as const, of })

describe('whose a token is', () => {
  test('is said for the audience of this API', async () => {
    const { reviews, specs } = reviewsWith(says({ authenticated: true, audiences: ['reflash'], user: ann }))
    expect(await reviews.userOf('t')).toEqual(user)
    expect(specs()).toEqual([{ token: 't', audiences: ['reflash'] }])
  })

  test('is said for the API server’s own, when it is not for ours', async () => {
    const own = { authenticated: true, audiences: ['https://kubernetes.default.svc'], user: ann }
    const { reviews, specs } = reviewsWith(says({ authenticated: false, error: 'audience' }), says(own))
    expect(await reviews.userOf('t')).toEqual(user)
    expect(specs()).toEqual([{ token: 't', audiences: ['reflash'] }, { token: 't' }])
  })

  test('is said by one that knows of no audiences, at once', async () => {
    const { reviews, specs } = reviewsWith(says({ authenticated: true, user: { username: 'ann' } }))
    expect(await reviews.userOf('t')).toEqual({ name: 'ann', groups: [] })
    expect(specs()).toHaveLength(1)
  })

  test.each([
    ['who is not known', [says({}), says({})]],
    ['of whom nothing is said', [says(undefined), says(undefined)]],
    ['without a name', [says({ authenticated: true, user: { username: '' } })]],
    ['without a user', [says({ authenticated: true })]],
    [
      'known for another audience than was asked for',
      [says({ authenticated: true, audiences: ['vault'], user: ann }), says({ authenticated: false })],
    ],
  ])('somebody %s is nobody', async (_, answers) => {
    expect(await reviewsWith(...answers).reviews.userOf('t')).toBeUndefined()
  })

  test.each([
    [403, 'Forbidden', 'TokenReview: you may not'],
    [400, 'Invalid', 'TokenReview: HTTP 400'],
    [429, 'ServerUnavailable', 'TokenReview: HTTP 429'],
    [500, 'ServerUnavailable', 'TokenReview: HTTP 500'],
  ])('is not known after %i, which never quotes the token', async (status, code, message) => {
    const said = status === 403 ? 'you may not' : 'spec.token: Invalid value: "t0ken"'
    const { reviews } = reviewsWith(refusal(status, code, said))
    await expect(reviews.userOf('t0ken')).rejects.toMatchObject({ code, message })
  })

  test.each([200, 403])('is not known after %i with a page for people', async (status) => {
    const { reviews } = reviewsWith({ status, body: '<p>Log in first: t0ken</p>' })
    await expect(reviews.userOf('t0ken')).rejects.toMatchObject({
      code: 'ServerUnavailable',
      message: `TokenReview: HTTP ${status}`,
    })
  })

  test('is not known while there is no answer', async () => {
    await expect(reviewsWith().reviews.userOf('t')).rejects.toMatchObject({ code: 'ServerUnavailable' })
    const second = reviewsWith(says({ authenticated: false }))
    await expect(second.reviews.userOf('t')).rejects.toMatchObject({ code: 'ServerUnavailable' })
  })
})

describe('what somebody may read', () => {
  test('is asked with everything that is known of them', async () => {
    const { reviews, specs } = reviewsWith(says({ allowed: true }), says({ allowed: true }))
    expect(await reviews.isAllowed(user, devices)).toBe(true)
    expect(await reviews.isAllowed({ name: 'bob', groups: [] }, { verb: 'get', path: '/metrics' })).toBe(true)
    const whole = {
      user: 'ann',
      uid: '7',
      groups: ['staff'],
      extra: { 'a/b': ['c'] },
      resourceAttributes: devices,
    }
    const path = { user: 'bob', groups: [], nonResourceAttributes: { verb: 'get', path: '/metrics' } }
    expect(JSON.parse(JSON.stringify(specs()))).toEqual([whole, path])
  })

  test.each([
    [{ allowed: false }, false],
    [{ allowed: true, denied: true }, false],
    [{ allowed: false, evaluationError: 'no such role' }, false],
    [{ allowed: true, evaluationError: 'no such role' }, true],
    [{ allowed: 'true' }, false],
    [{}, false],
    [undefined, false],
  ])('%j: %s', async (status, allowed) => {
    expect(await reviewsWith(says(status)).reviews.isAllowed(user, devices)).toBe(allowed)
  })

  test('is not known after a refusal, or without an answer', async () => {
    const refused = reviewsWith(refusal(403, 'Forbidden', 'you may not'))
    await expect(refused.reviews.isAllowed(user, devices)).rejects.toMatchObject({ code: 'Forbidden' })
    await expect(reviewsWith().reviews.isAllowed(user, devices)).rejects.toMatchObject({
      code: 'ServerUnavailable',
    })
  })
})
