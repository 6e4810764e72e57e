import { describe, expect, it } from 'vitest'
import type { AccessReview } from '../../src/ports/access-review.ts'

export interface ReviewsWorld {
  reviews: AccessReview
  /** Of somebody who may list devices in `lobby`, and do nothing else. */
  token: string
  /** The name of whose token it is. */
  name: string
}

/** The promises of `ports/access-review.ts` as tests. */
export const accessReviewContract = (name: string, open: () => Promise<ReviewsWorld>): void => {
  describe(`access review: ${name}`, () => {
    const devices = { verb: 'list', group: 'reflash.dev', version: 'v1alpha1', resource: 'devices' } as const

    it('knows whose token it is, and of others that they are nobody’s', async () => {
      const { reviews, token, name: userName } = await open()
      expect(await reviews.userOf(token)).toMatchObject({ name: userName })
      for (const wrong of ['x', `${token}x`, token.slice(0, -2), token.toUpperCase()]) {
        expect(await reviews.userOf(wrong)).toBeUndefined()
      }
    })

    it('allows what is allowed to this user, to the letter', async () => {
      const { reviews, token } = await open()
      const user = (await reviews.userOf(token))!
      expect(await reviews.isAllowed(user, { ...devices, namespace: 'lobby' })).toBe(true)
      for (const attributes of [
        { ...devices, namespace: 'default' },
        { ...devices, namespace: '' },
        { ...devices, namespace: 'lobby', verb: 'watch' as const },
        { ...devices, namespace: 'lobby', verb: 'get' as const, name: 'ap-1' },
        { ...devices, namespace: 'lobby', resource: 'builds' },
        { ...devices, namespace: 'lobby', group: '' },
        { ...devices, namespace: 'lobby', subresource: 'sensitive' },
        { verb: 'get' as const, path: '/metrics' },
      ]) {
        expect(await reviews.isAllowed(user, attributes), JSON.stringify(attributes)).toBe(false)
      }
      const nobody = { name: 'nobody', groups: [] }
      expect(await reviews.isAllowed(nobody, { ...devices, namespace: 'lobby' })).toBe(false)
    })
  })
}
