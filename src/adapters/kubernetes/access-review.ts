import { hasCode, ReflashError } from '../../core/errors.ts'
import type { AccessReview, ClusterUser } from '../../ports/access-review.ts'
import { failureOf } from './api-failure.ts'
import type { Transport } from './transport.ts'

/** Of tokens that are made for this API and open nothing else: `kubectl create token NAME --audience reflash`. */
const audience = 'reflash'
/** A reader waits for the answer. */
const limitMs = 10_000

interface TokenReview {
  status?: {
    authenticated?: boolean
    audiences?: string[]
    user?: {
      username?: string
      uid?: string
      groups?: string[]
      extra?: Record<string, string[]>
    }
  }
}

interface SubjectAccessReview {
  status?: { allowed?: boolean; denied?: boolean }
}

/**
 * Asks the API server by TokenReview and SubjectAccessReview, which takes the rights of the ClusterRole
 * system:auth-delegator. A token counts for the audience `reflash`, or else for the API server's own: what its holder can
 * read there in any case. It keeps nothing.
 */
export function createAccessReview(transport: Transport): AccessReview {
  const post = async <T extends object>(path: string, spec: object, what: string): Promise<T> => {
    const answer = await transport.request({ method: 'POST', path, body: { spec }, limitMs })
    const failure = failureOf(answer, what)
    if (!failure) return answer.body as T
    // Only a refusal of ours is told in the server's words: others may quote what was sent, which is a token.
    if (hasCode(failure, 'Forbidden') && answer.status === 403) throw failure
    throw new ReflashError(failure.code, `${what}: HTTP ${answer.status}`)
  }
  const reviewToken = (token: string, audiences?: string[]): Promise<TokenReview> =>
    post(
      '/apis/authentication.k8s.io/v1/tokenreviews',
      { token, ...(audiences ? { audiences } : {}) },
      'TokenReview',
    )

  return {
    async userOf(token) {
      const { status } = await reviewToken(token, [audience])
      // No audience at all means that of the API server: an authenticator that knows of none has looked.
      const counts = !status?.audiences?.length || status.audiences.includes(audience)
      if (status?.authenticated && counts) return userIn({ status })
      // Without audiences the API server asks for its own.
      return userIn(await reviewToken(token))
    },

    async isAllowed({ name, uid, groups, extra }, attributes) {
      const asked =
        'path' in attributes ? { nonResourceAttributes: attributes } : { resourceAttributes: attributes }
      const spec = { ...asked, user: name, uid, groups, extra }
      const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews'
      const { status } = await post<SubjectAccessReview>(path, spec, 'SubjectAccessReview')
      return status?.allowed === true && status.denied !== true
    },
  }
}

function userIn({ status }: TokenReview): ClusterUser | undefined {
  const { username, uid, groups = [], extra } = status?.user ?? {}
  if (!status?.authenticated || !username) return undefined
  return { name: username, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) }
}
