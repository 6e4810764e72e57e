import { hash } from 'node:crypto'
import { ReflashError } from '../core/errors.ts'
import type { AccessAttributes, AccessReview, ClusterUser } from '../ports/access-review.ts'
import type { Clock } from '../ports/clock.ts'
import { noAccess, type Access } from './access.ts'
import { bearerToken, type AccessGate, type TooMany } from './access-gate.ts'
import { createAnswerCache } from './answer-cache.ts'
import { paths } from './api-routes.ts'
import { atMostOncePer } from './at-most-once-per.ts'
import { createBadTokens, networkOf } from './bad-tokens.ts'
import { askedBy, sensitiveAttributes, type Asked } from './request-attributes.ts'

/** For so long a right outlives its end, and a token its own. */
const yesMs = 10_000
/** For so long a new right is not seen. */
const noMs = 2000
const maxUsers = 1000
/** Some for each user, namespace and kind. */
const maxRights = 10_000
const tellEveryMs = 60_000

export interface ReviewGateOptions {
  clock: Pick<Clock, 'monotonic'>
  /** Where the images are that have this digest. */
  namespacesOfImage: (sha256: string) => Iterable<string>
  /** Hears of bad tokens, at most once a minute. */
  onRefused: (address: string) => void
  /** Hears why nobody could be let in, at most once a minute. */
  onUnavailable: (why: ReflashError) => void
}

/**
 * Asks for each request whose token it carries, and whether they may read that. Answers are kept for seconds, by hashes
 * of tokens; while nobody can be asked, what is not kept is allowed to nobody. Where too many bad tokens came from, those
 * that nothing is known of are asked about one at a time, so that guessing makes no work for the API server.
 */
export function createReviewGate(reviews: AccessReview, options: ReviewGateOptions): AccessGate {
  const { clock, namespacesOfImage, onRefused } = options
  const lifetimeMs = (answer: unknown): number => (answer ? yesMs : noMs)
  const users = createAnswerCache<ClusterUser | undefined>({ clock, lifetimeMs, maxAnswers: maxUsers })
  const rights = createAnswerCache<boolean>({ clock, lifetimeMs, maxAnswers: maxRights })
  const badTokens = createBadTokens({ clock, onRefused })
  const tell = atMostOncePer(tellEveryMs, { clock, tell: options.onUnavailable })
  /** Networks of too many bad tokens, with one more being asked about. */
  const suspected = new Set<string>()

  const userOf = async (
    token: string,
    id: string,
    address: string,
  ): Promise<ClusterUser | TooMany | undefined> => {
    const ask = (): Promise<ClusterUser | undefined> => users.get(id, () => reviews.userOf(token))
    const tooMany = badTokens.tooMany(address)
    if (!tooMany || users.has(id)) return ask()
    const network = networkOf(address)
    if (suspected.has(network)) return tooMany
    suspected.add(network)
    try {
      return await ask()
    } finally {
      suspected.delete(network)
    }
  }

  return {
    async check({ authorization, address, url }) {
      if (authorization === undefined) return { kind: 'Absent' }
      const token = bearerToken(authorization)
      const id = hash('sha256', token)
      try {
        const user = token === '' ? undefined : await userOf(token, id, address)
        if (!user) return badTokens.refuse(address)
        if ('kind' in user) return user
        const may = (attributes: AccessAttributes): Promise<boolean> =>
          rights.get(hash('sha256', `${id} ${JSON.stringify(attributes)}`), () =>
            reviews.isAllowed(user, attributes),
          )
        const access = await accessTo(askedBy(url), { may, namespacesOfImage })
        return access ? { kind: 'Known', access: { ...access, tokenId: user.name } } : { kind: 'Forbidden' }
      } catch (error) {
        if (!(error instanceof ReflashError)) throw error
        tell(error)
        return { kind: 'Unavailable' }
      }
    },
  }
}

interface Judge extends Pick<ReviewGateOptions, 'namespacesOfImage'> {
  may: (attributes: AccessAttributes) => Promise<boolean>
}

/** Just enough for what is asked, so that a route that was judged by mistake as another one shows nothing. */
async function accessTo(asked: Asked, { may, namespacesOfImage }: Judge): Promise<Access | undefined> {
  switch (asked.type) {
    case 'Objects': {
      const { needs, namespace, tellsOfDevices } = asked
      const allowed = await Promise.all(needs.map(may))
      if (allowed.includes(false)) return undefined
      const sensitive = tellsOfDevices && (await may(sensitiveAttributes(namespace)))
      return { ...noAccess, read: true, sensitive, namespaces: namespacesIn(namespace) }
    }
    case 'Image':
      for (const namespace of ['', ...namespacesOfImage(asked.sha256)]) {
        if (await may(sensitiveAttributes(namespace))) {
          return { ...noAccess, images: true, namespaces: namespacesIn(namespace) }
        }
      }
      return undefined
    case 'Path': {
      if (!(await may(asked.needs))) return undefined
      // Counts are of all namespaces.
      const isMetrics = asked.needs.path === paths.metrics
      return { ...noAccess, ...(isMetrics ? { metrics: true, namespaces: 'All' } : { read: true }) }
    }
  }
}

const namespacesIn = (namespace: string): Access['namespaces'] =>
  namespace === '' ? 'All' : new Set([namespace])
