import { describe, expect, test } from 'vitest'
import { apiRoutes, paths } from '../../src/server/api-routes.ts'
import { askedBy, type Asked } from '../../src/server/request-attributes.ts'

const ask = (path: string): Asked => askedBy(new URL(path, 'http://localhost'))
const ours = '/apis/reflash.dev/v1alpha1'

/** `verb group/version resource[/subresource] of namespace[/name]`. */
const words = (asked: Asked): string[] => {
  if (asked.type === 'Path') return [`get ${asked.needs.path}`]
  if (asked.type === 'Image') return [`image ${asked.sha256}`]
  return asked.needs.map(({ verb, group, version, resource, subresource, namespace, name }) => {
    const what = subresource === undefined ? resource : `${resource}/${subresource}`
    return `${verb} ${group}/${version} ${what} of ${namespace}${name === undefined ? '' : `/${name}`}`
  })
}

describe('what a request asks for', () => {
  test.each([
    [`${ours}/devices`, 'list reflash.dev/v1alpha1 devices of '],
    [`${ours}/devices?watch=true`, 'watch reflash.dev/v1alpha1 devices of '],
    [`${ours}/devices?watch=`, 'watch reflash.dev/v1alpha1 devices of '],
    [`${ours}/devices?watch=false`, 'list reflash.dev/v1alpha1 devices of '],
    [`${ours}/devices?watch=0&watch=1`, 'list reflash.dev/v1alpha1 devices of '],
    [`${ours}/namespaces/a/devices`, 'list reflash.dev/v1alpha1 devices of a'],
    [`${ours}/namespaces/a/devices?watch=1`, 'watch reflash.dev/v1alpha1 devices of a'],
    [`${ours}/namespaces/a/devices/ap-1`, 'get reflash.dev/v1alpha1 devices of a/ap-1'],
    [`${ours}/namespaces/a/devices/ap-1?watch=1`, 'get reflash.dev/v1alpha1 devices of a/ap-1'],
    [`${ours}/namespaces/a/devices/ap-1/status`, 'get reflash.dev/v1alpha1 devices/status of a/ap-1'],
    [`${ours}/namespaces/a/devices/ap-1/a/b`, 'get reflash.dev/v1alpha1 devices/a/b of a/ap-1'],
    [`${ours}/namespaces/a/status`, 'get reflash.dev/v1alpha1 namespaces/status of a/a'],
    ['/apis/apps/v1/namespaces/a/deployments', 'list apps/v1 deployments of a'],
    ['/api/v1/events', 'list /v1 events of '],
    ['/api/v1/namespaces/a/events/e.1', 'get /v1 events of a/e.1'],
    ['/api/v1/namespaces', 'list /v1 namespaces of '],
    ['/api/v1/namespaces?watch=true', 'watch /v1 namespaces of '],
    ['/api/v1/namespaces/a', 'get /v1 namespaces of a/a'],
    ['/api/v1/namespaces/a/status', 'get /v1 namespaces/status of a/a'],
    ['/api/status/v1/policies/a/all', 'get reflash.dev/v1alpha1 upgradepolicies of a/all'],
    ['/api/status/v1/devices/a/ap-1', 'get reflash.dev/v1alpha1 devices of a/ap-1'],
    ['/api/status/v1/operations/a/op-1/log', 'get reflash.dev/v1alpha1 upgradeoperations of a/op-1'],
    ['/api/status/v1/devices', 'list reflash.dev/v1alpha1 devices of '],
    ['/api/status/v1/devices?namespace=a', 'list reflash.dev/v1alpha1 devices of a'],
    ['/api/status/v1/devices?namespace=', 'list reflash.dev/v1alpha1 devices of '],
    ['/images/00ff', 'image 00ff'],
    ['/metrics', 'get /metrics'],
    ['/livez?verbose', 'get /livez'],
    ['/version', 'get /version'],
    ['/api', 'get /api'],
    ['/api/v1', 'get /api/v1'],
    ['/apis', 'get /apis'],
    ['/apis/reflash.dev', 'get /apis/reflash.dev'],
    [ours, `get ${ours}`],
    [`/openapi/v3${ours}`, `get /openapi/v3${ours}`],
    ['/openapi.json', 'get /openapi.json'],
    ['/docs', 'get /docs'],
    ['/images/a/b', 'get /images/a/b'],
    ['/nowhere', 'get /nowhere'],
    ['/', 'get /'],
  ])('%s: %s', (path, expected) => {
    expect(words(ask(path))).toEqual([expected])
  })

  test('of the whole fleet is all that its numbers come from', () => {
    expect(words(ask('/api/status/v1'))).toEqual([
      'list reflash.dev/v1alpha1 devices of ',
      'list reflash.dev/v1alpha1 upgradeoperations of ',
      'list reflash.dev/v1alpha1 upgradepolicies of ',
    ])
  })

  test('of a route that tells of objects is never its path', () => {
    const telling = apiRoutes.filter(({ scope }) => scope === 'read' || scope === 'images')
    const byPath = telling.filter(({ id }) => {
      const path = paths[id].replaceAll(/:\w+/g, 'x')
      return ask(path).type === 'Path' || ask(`${path}?namespace=x`).type === 'Path'
    })
    // These are the same whatever the fleet.
    expect(byPath.map(({ id }) => id)).toEqual(['openapi', 'docs'])
  })

  test.each([
    [`${ours}/devices`, true],
    [`${ours}/namespaces/a/upgradeoperations/x`, true],
    ['/api/v1/namespaces/a/events', true],
    ['/api/status/v1/devices?namespace=a', true],
    ['/api/v1/namespaces/a', false],
    ['/apis/apps/v1/namespaces/a/deployments', false],
  ])('%s tells of devices: %s', (path, tells) => {
    expect(ask(path)).toMatchObject({ type: 'Objects', tellsOfDevices: tells })
  })
})
