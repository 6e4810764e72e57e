import { expect, test } from 'vitest'
import {
  lintChart,
  missingRenderers,
  objectOf,
  renderBase,
  renderChart,
  type RenderedObject,
} from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'

/** Helm's own marks are left out: `helm.sh/*`, and that Helm manages it. Order means nothing. */
function byName(objects: readonly RenderedObject[]): Record<string, object> {
  const isOfHelm = (mark: string): boolean =>
    mark.startsWith('helm.sh/') || mark === 'app.kubernetes.io/managed-by'
  const others = (marks: Record<string, string> | undefined) => {
    const left = Object.entries(marks ?? {}).filter(([mark]) => !isOfHelm(mark))
    return left.length === 0 ? undefined : Object.fromEntries(left)
  }
  return Object.fromEntries(
    objects.map((object) => {
      const { namespace = '', name, labels, annotations } = object.metadata
      const metadata = { ...object.metadata, labels: others(labels), annotations: others(annotations) }
      return [`${object.kind} ${namespace}/${name}`, { ...object, metadata }]
    }),
  )
}

interface Workload extends RenderedObject {
  spec: {
    template: {
      spec: {
        containers: {
          image: string
          args: string[]
          livenessProbe: { httpGet: object }
          volumeMounts: object[]
        }[]
        volumes: object[]
      }
    }
  }
}
const workloadOf = (objects: readonly RenderedObject[]) => {
  const { spec } = objectOf<Workload>(objects, 'Deployment', 'reflash-controller')
  return { ...spec.template.spec, container: spec.template.spec.containers[0]! }
}
/** The namespaces in which a role is bound. */
const boundIn = (objects: readonly RenderedObject[], role: string) =>
  (objects as (RenderedObject & { roleRef?: { name: string } })[])
    .filter(({ roleRef }) => roleRef?.name === role)
    .map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}`)

unlessMissing(missingRenderers())('the chart', () => {
  test('is what helm lint asks for', () => expect(lintChart()).not.toMatch(/WARNING|ERROR/))

  test('brings what kustomize does, object by object', () => {
    const everything = {
      createNamespace: true,
      monitoring: { enabled: true },
      viewAndEdit: { enabled: true },
    }
    expect(byName(renderChart(everything))).toEqual(byName(renderBase('monitoring', 'view-and-edit')))
  })

  test('leaves the namespace to helm install, and components to whoever wants them', () => {
    const { 'Namespace /reflash-system': namespace, ...rest } = byName(renderBase())
    expect(namespace).toBeDefined()
    expect(byName(renderChart({}))).toEqual(rest)
  })

  test('keeps definitions when it is uninstalled, and leaves them out where others bring them', () => {
    const definitions = renderChart({}).filter(({ kind }) => kind === 'CustomResourceDefinition')
    expect(definitions.length).toBe(6)
    for (const { metadata } of definitions) {
      expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' })
    }
    const without = renderChart({ crds: { install: false } })
    expect(without.filter(({ kind }) => kind === 'CustomResourceDefinition')).toEqual([])
  })

  test('names everything after its release, so that two do not meet', () => {
    const values = { monitoring: { enabled: true }, viewAndEdit: { enabled: true }, crds: { install: false } }
    const first = Object.keys(byName(renderChart(values, { name: 'lab', namespace: 'one' })))
    const second = new Set(Object.keys(byName(renderChart(values, { name: 'field', namespace: 'one' }))))
    expect(first.length).toBeGreaterThan(20)
    expect(first.filter((name) => second.has(name))).toEqual([])
    for (const name of first) expect(name).toMatch(/ (?:one|default)?\/lab-reflash/)
  })

  test('takes images by digest, flags of the governor, and more', () => {
    const digest = `sha256:${'0'.repeat(64)}`
    const { container } = workloadOf(
      renderChart({
        image: { repository: 'registry.example.com/reflash', digest },
        governor: { maxInFlight: 1_000_000, maxLostPerDay: 2, acknowledgeLost: '2026-11-23' },
        extraArgs: ['--probe-interval=30m'],
      }),
    )
    expect(container.image).toBe(`registry.example.com/reflash@${digest}`)
    expect(container.args.slice(5)).toEqual([
      '--acknowledge-lost',
      '2026-11-23',
      '--max-in-flight',
      '1000000',
      '--max-lost-per-day',
      '2',
      '--probe-interval=30m',
    ])
  })

  test('may be bound to a few namespaces', () => {
    const objects = renderChart({ watchNamespaces: ['berlin', 'lisbon'], credentialsNamespaces: ['berlin'] })
    expect(boundIn(objects, 'reflash-controller')).toEqual([
      'RoleBinding berlin',
      'RoleBinding lisbon',
      // Of the Role for its own namespace.
      'RoleBinding reflash-system',
    ])
    expect(boundIn(objects, 'reflash-credentials')).toEqual(['RoleBinding berlin'])
    const { args } = workloadOf(objects).container
    expect(args[args.indexOf('--namespace') + 1]).toBe('berlin,lisbon')
  })

  test('speaks TLS to whoever asks where it has a certificate', () => {
    const objects = renderChart({ tls: { secretName: 'reflash-tls' }, monitoring: { enabled: true } })
    const { container, volumes } = workloadOf(objects)
    expect(container.args.slice(5)).toEqual(['--tls-cert', '/tls/tls.crt', '--tls-key', '/tls/tls.key'])
    expect(container.volumeMounts).toContainEqual({ name: 'tls', mountPath: '/tls', readOnly: true })
    expect(volumes).toContainEqual({ name: 'tls', secret: { secretName: 'reflash-tls' } })
    expect(container.livenessProbe.httpGet).toEqual({ path: '/livez', port: 'http', scheme: 'HTTPS' })
    const { spec } = objectOf<RenderedObject & { spec: { endpoints: object[] } }>(
      objects,
      'ServiceMonitor',
      'reflash-controller',
    )
    expect(spec.endpoints).toMatchObject([
      {
        scheme: 'https',
        tlsConfig: {
          ca: { secret: { name: 'reflash-tls', key: 'ca.crt' } },
          serverName: 'reflash-controller.reflash-system.svc',
        },
      },
    ])
  })

  test('finds image files on a volume', () => {
    const claim = { persistentVolumeClaim: { claimName: 'firmware' } }
    const { container, volumes } = workloadOf(renderChart({ firmware: { volume: claim } }))
    expect(container.args.slice(5)).toEqual(['--images', '/images'])
    expect(container.volumeMounts).toContainEqual({ name: 'images', mountPath: '/images', readOnly: true })
    expect(volumes).toContainEqual({ name: 'images', ...claim })
  })

  test('lets out to the networks of the routers alone', () => {
    const routers = { routers: ['192.0.2.0/24', '2001:db8::/32'], sshPorts: [22, 2222] }
    const policy = objectOf<RenderedObject & { spec: { egress: object[] } }>(
      renderChart({ networkPolicy: routers }),
      'NetworkPolicy',
      'reflash-controller',
    )
    expect(policy.spec.egress.at(-1)).toEqual({
      ports: [
        { port: 22, protocol: 'TCP' },
        { port: 2222, protocol: 'TCP' },
      ],
      to: [{ ipBlock: { cidr: '192.0.2.0/24' } }, { ipBlock: { cidr: '2001:db8::/32' } }],
    })
  })

  test.each<[string, object]>([
    ['/replicas', { replicas: 'two' }],
    ['/replicas', { replicas: -1 }],
    ["'replica'", { replica: 2 }],
    ['/image/tag', { image: { tag: 'latest' } }],
    ['/image/digest', { image: { digest: 'sha256:abc' } }],
    ['/image/pullPolicy', { image: { pullPolicy: 'Sometimes' } }],
    ["'maxInflight'", { governor: { maxInflight: 10 } }],
    ['/governor/maxInFlight', { governor: { maxInFlight: 0 } }],
    ['/governor/acknowledgeLost', { governor: { acknowledgeLost: 'yesterday' } }],
    ['/watchNamespaces/0', { watchNamespaces: ['No Such'] }],
    ['/credentialsNamespaces', { credentialsNamespaces: ['default', 'default'] }],
    ['/extraArgs/0', { extraArgs: ['controller'] }],
    ['/networkPolicy/sshPorts/0', { networkPolicy: { sshPorts: [70_000] } }],
    ['/networkPolicy/routers/0', { networkPolicy: { routers: ['192.0.2.1'] } }],
    ['/cache/sizeLimit', { cache: { sizeLimit: '4 GB' } }],
    ['/tls/secretName', { tls: { secretName: 'Not A Name' } }],
    ['/monitoring/enabled', { monitoring: { enabled: 'yes' } }],
    ['/firmware/volume', { firmware: { volume: { emptyDir: {}, secret: {} } } }],
  ])('refuses at %s: %j', (place, values) => expect(() => renderChart(values)).toThrow(place))
})
