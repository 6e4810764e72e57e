/** What each account and each role may do, and that it is no more than is said. */
import { describe, expect, test } from 'vitest'
import { controllerRights, type Rights } from '../support/controller-rights.ts'
import { missingRenderers, objectOf, renderBase, type RenderedObject } from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'

interface Rule {
  apiGroups?: string[]
  resources?: string[]
  resourceNames?: string[]
  nonResourceURLs?: string[]
  verbs: string[]
}
interface Role extends RenderedObject {
  rules: Rule[]
}
interface Binding extends RenderedObject {
  roleRef: { kind: string; name: string }
  subjects: { kind: string; name: string; namespace: string }[]
}

/** Of the role that every cluster has for those who ask it about others. */
const authDelegator: Rights = {
  'authentication.k8s.io/tokenreviews': 'create',
  'authorization.k8s.io/subjectaccessreviews': 'create',
}

function rightsIn(rules: readonly Rule[]): Rights {
  const verbs = new Map<string, Set<string>>()
  const allow = (what: string, rule: Rule): void => {
    const names = rule.resourceNames ? ` ${rule.resourceNames.join(' ')}` : ''
    const known = verbs.get(what + names) ?? new Set()
    verbs.set(what + names, known)
    for (const verb of rule.verbs) known.add(verb)
  }
  for (const rule of rules) {
    for (const url of rule.nonResourceURLs ?? []) allow(url, rule)
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) allow(`${group}/${resource}`, rule)
    }
  }
  return Object.fromEntries([...verbs].map(([what, allowed]) => [what, [...allowed].toSorted().join(' ')]))
}

const read = 'get list watch'
const write = 'create delete deletecollection patch update'

unlessMissing(missingRenderers())('what may be done', () => {
  const objects = renderBase('monitoring', 'view-and-edit')
  const roles = objects.filter(({ kind }) => /^(?:Cluster)?Role$/.test(kind)) as Role[]
  const bindings = objects.filter(({ kind }) => kind.endsWith('RoleBinding')) as Binding[]
  const rightsOfRole = (kind: string, name: string): Rights =>
    rightsIn(objectOf<Role>(objects, kind, name).rules)

  /** By namespace, or in all of them: what an account may do. */
  function rightsOf(account: string): Record<string, Rights> {
    const rights: Record<string, Rights> = {}
    for (const { kind, metadata, roleRef, subjects } of bindings) {
      if (!subjects.some(({ name }) => name === account)) continue
      const scope = kind === 'ClusterRoleBinding' ? 'everywhere' : metadata.namespace!
      const table =
        roleRef.name === 'system:auth-delegator' ? authDelegator : rightsOfRole(roleRef.kind, roleRef.name)
      for (const [what, verbs] of Object.entries(table)) {
        expect(rights[scope]?.[what], `${what} in ${scope} is said twice`).toBeUndefined()
        rights[scope] = { ...rights[scope], [what]: verbs }
      }
    }
    return rights
  }

  test('by the controller', () => expect(rightsOf('reflash-controller')).toEqual(controllerRights))

  test('by Prometheus', () => {
    expect(rightsOf('reflash-metrics')).toEqual({ everywhere: { '/metrics': 'get' } })
  })

  const kinds = ['builds', 'categories', 'devices', 'firmwareimages', 'upgradeoperations', 'upgradepolicies']
  const eachKind = (verbs: string): Rights =>
    Object.fromEntries(kinds.map((plural) => [`reflash.dev/${plural}`, verbs]))

  test.each([
    ['reflash-view', eachKind(read), { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }],
    ['reflash-edit', eachKind(write), { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true' }],
    ['reflash-sensitive-viewer', { 'reflash.dev/devices/sensitive': 'get' }, {}],
  ])('by whoever has %s', (name, rights, aggregation) => {
    expect(rightsOfRole('ClusterRole', name)).toEqual(rights)
    const { labels = {} } = objectOf(objects, 'ClusterRole', name).metadata
    const aggregating = Object.entries(labels).filter(([label]) => label.includes('aggregate'))
    expect(Object.fromEntries(aggregating)).toEqual(aggregation)
  })

  test('is in no other role, and nobody else is bound', () => {
    expect(roles.map(({ kind, metadata: { name } }) => `${kind} ${name}`).toSorted()).toEqual([
      'ClusterRole reflash-controller',
      'ClusterRole reflash-credentials',
      'ClusterRole reflash-edit',
      'ClusterRole reflash-metrics',
      'ClusterRole reflash-sensitive-viewer',
      'ClusterRole reflash-view',
      'Role reflash-controller',
    ])
    const subjects = bindings.flatMap((binding) => binding.subjects)
    expect(new Set(subjects.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`))).toEqual(
      new Set([
        'ServiceAccount reflash-system/reflash-controller',
        'ServiceAccount reflash-system/reflash-metrics',
      ]),
    )
    expect(JSON.stringify(roles)).not.toContain('*')
  })
})

describe('rights', () => {
  test('add up what several rules allow, names apart', () => {
    const rules = [
      { apiGroups: ['a'], resources: ['x', 'y'], verbs: ['get'] },
      { apiGroups: ['a'], resources: ['x'], verbs: ['list', 'get'] },
      { apiGroups: ['a'], resources: ['x'], resourceNames: ['n'], verbs: ['update'] },
      { nonResourceURLs: ['/u'], verbs: ['get'] },
    ]
    expect(rightsIn(rules)).toEqual({ 'a/x': 'get list', 'a/y': 'get', 'a/x n': 'update', '/u': 'get' })
  })
})
