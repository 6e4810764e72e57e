import { ReflashError } from '../../src/core/errors.ts'
import type { AccessAttributes, AccessReview, ClusterUser } from '../../src/ports/access-review.ts'

type Rule = (attributes: AccessAttributes) => boolean

/** A cluster whose users and rules are said by the test. */
export interface ScriptedReviews extends AccessReview {
  /** By token. */
  readonly users: Map<string, ClusterUser>
  /** By the name of the user: what any of them allows is allowed. */
  readonly rules: Map<string, Rule[]>
  /** Every question: a token, or attributes. */
  readonly asked: (string | AccessAttributes)[]
  /** Nobody can say anything. */
  isDown: boolean
  /** Questions from now on wait until the returned function is called. */
  hold(): () => void
}

export function createScriptedReviews(): ScriptedReviews {
  let gate = Promise.resolve()
  const users = new Map<string, ClusterUser>()
  const rules = new Map<string, Rule[]>()
  const asked: ScriptedReviews['asked'] = []
  const reviews: ScriptedReviews = {
    users,
    rules,
    asked,
    isDown: false,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      gate = promise
      return resolve
    },
    userOf: (token) => answer(token, () => users.get(token)),
    isAllowed: (user, attributes) =>
      answer(attributes, () => (rules.get(user.name) ?? []).some((allows) => allows(attributes))),
  }
  const answer = async <T>(question: string | AccessAttributes, find: () => T): Promise<T> => {
    asked.push(question)
    await gate
    if (reviews.isDown) throw new ReflashError('ServerUnavailable', 'the API server does not answer')
    return find()
  }
  return reviews
}

/** As the ClusterRole reflash-view, bound in these namespaces. */
export const viewIn =
  (...namespaces: string[]): Rule =>
  (attributes) =>
    'resource' in attributes &&
    attributes.group === 'reflash.dev' &&
    attributes.subresource === undefined &&
    namespaces.includes(attributes.namespace)

/** As the ClusterRole reflash-sensitive-viewer, bound in these namespaces. */
export const sensitiveIn =
  (...namespaces: string[]): Rule =>
  (attributes) =>
    'resource' in attributes &&
    attributes.resource === 'devices' &&
    attributes.subresource === 'sensitive' &&
    namespaces.includes(attributes.namespace)

/** As the ClusterRole system:discovery, which everybody has whom a cluster knows. */
export const discovery: Rule = (attributes) =>
  'path' in attributes && /^\/(?:apis?|openapi|version|livez|readyz|healthz)(?:\/|$)/.test(attributes.path)
