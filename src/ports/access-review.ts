/** Who somebody is to a cluster. */
export interface ClusterUser {
  name: string
  uid?: string
  groups: readonly string[]
  /** What else the cluster's way of knowing them says. */
  extra?: Readonly<Record<string, readonly string[]>>
}

/** Reading objects, as the authorizers of a cluster are asked about it. */
export interface ResourceAttributes {
  verb: 'get' | 'list' | 'watch'
  /** '' for the kinds of `/api/v1`. */
  group: string
  version: string
  /** The plural of the kind. */
  resource: string
  subresource?: string | undefined
  /** '' for all of them, and for kinds that are in none. */
  namespace: string
  /** Absent: no object in particular. */
  name?: string | undefined
}

/** Reading what is no object. */
export interface PathAttributes {
  verb: 'get'
  path: string
}

export type AccessAttributes = ResourceAttributes | PathAttributes

/** Who may read what, by the word of a cluster. Whoever cannot be asked has not said yes. */
export interface AccessReview {
  /** Whose bearer token this is; undefined: nobody's. @throws ReflashError when nobody can say. */
  userOf(token: string): Promise<ClusterUser | undefined>
  /** @throws ReflashError when nobody can say. */
  isAllowed(user: ClusterUser, attributes: AccessAttributes): Promise<boolean>
}
