import { createScriptedReviews } from '../support/scripted-reviews.ts'
import { accessReviewContract } from './access-review.ts'

accessReviewContract('scripted', async () => {
  const reviews = createScriptedReviews()
  reviews.users.set('token', { name: 'ann', groups: [] })
  const wanted = {
    verb: 'list',
    group: 'reflash.dev',
    version: 'v1alpha1',
    resource: 'devices',
    namespace: 'lobby',
  }
  reviews.rules.set('ann', [(attributes) => JSON.stringify(attributes) === JSON.stringify(wanted)])
  return { reviews, token: 'token', name: 'ann' }
})
