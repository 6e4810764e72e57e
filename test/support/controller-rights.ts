/** What may be done, by `group/resource` and, where only some are meant, their names. */
export type Rights = Readonly<Record<string, string>>

const read = 'get list watch'

/** All that the controller may do: everywhere, in its own namespace, and in one that has Devices. */
export const controllerRights = {
  everywhere: {
    'reflash.dev/categories': read,
    'reflash.dev/upgradepolicies': read,
    'reflash.dev/builds': 'get list patch watch',
    'reflash.dev/firmwareimages': 'get list patch watch',
    'reflash.dev/devices': 'get list patch watch',
    'reflash.dev/upgradeoperations': 'create delete get list patch watch',
    'reflash.dev/categories/status': 'patch',
    'reflash.dev/upgradepolicies/status': 'patch',
    'reflash.dev/builds/status': 'patch',
    'reflash.dev/firmwareimages/status': 'patch',
    'reflash.dev/devices/status': 'patch',
    'reflash.dev/upgradeoperations/status': 'patch',
    'events.k8s.io/events': 'create patch',
    'authentication.k8s.io/tokenreviews': 'create',
    'authorization.k8s.io/subjectaccessreviews': 'create',
  },
  'reflash-system': {
    'coordination.k8s.io/leases': 'create',
    'coordination.k8s.io/leases reflash': 'get update',
    '/configmaps': 'create delete get list update',
    '/namespaces reflash-system': 'get',
  },
  default: { '/secrets': 'get' },
} as const satisfies Record<string, Rights>
