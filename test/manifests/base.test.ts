import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { cliResult } from '../support/cli-call.ts'
import { restrictedProblems, type PodSpec } from '../support/pod-security.ts'
import {
  missingRenderers,
  objectOf,
  renderBase,
  renderOverlay,
  type RenderedObject,
} from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const { version } = JSON.parse(read('package.json')) as { version: string }

interface Port {
  port: number | string
  protocol: string
}
interface Workload extends RenderedObject {
  spec: {
    replicas: number
    selector: { matchLabels: Record<string, string> }
    template: {
      metadata: { labels: Record<string, string> }
      spec: PodSpec & {
        serviceAccountName: string
        containers: {
          image: string
          args: string[]
          ports: { name: string; containerPort: number }[]
          volumeMounts: { name: string; mountPath: string }[]
          livenessProbe: Probe
          startupProbe: Probe
          readinessProbe: Probe
        }[]
      }
    }
  }
}
interface Probe {
  httpGet: { path: string; port: string }
}
interface NetworkPolicy extends RenderedObject {
  spec: {
    podSelector: { matchLabels: Record<string, string> }
    policyTypes: string[]
    ingress: { from: object[]; ports: Port[] }[]
    egress?: { to?: object[]; ports: Port[] }[]
  }
}

unlessMissing(missingRenderers())('what kubectl apply -k brings', () => {
  const objects = renderBase()
  const { spec } = objectOf<Workload>(objects, 'Deployment', 'reflash-controller')
  const pod = spec.template.spec
  const container = pod.containers[0]!

  test('is each object once', () => {
    const names = objects.map(
      ({ kind, metadata: { namespace = '', name } }) => `${kind} ${namespace}/${name}`,
    )
    expect(names.toSorted()).toEqual([
      'ClusterRole /reflash-controller',
      'ClusterRole /reflash-credentials',
      'ClusterRoleBinding /reflash-auth-delegator',
      'ClusterRoleBinding /reflash-controller',
      'CustomResourceDefinition /builds.reflash.dev',
      'CustomResourceDefinition /categories.reflash.dev',
      'CustomResourceDefinition /devices.reflash.dev',
      'CustomResourceDefinition /firmwareimages.reflash.dev',
      'CustomResourceDefinition /upgradeoperations.reflash.dev',
      'CustomResourceDefinition /upgradepolicies.reflash.dev',
      'Deployment reflash-system/reflash-controller',
      'Namespace /reflash-system',
      'NetworkPolicy reflash-system/reflash-controller',
      'PodDisruptionBudget reflash-system/reflash-controller',
      'Role reflash-system/reflash-controller',
      'RoleBinding default/reflash-credentials',
      'RoleBinding reflash-system/reflash-controller',
      'Service reflash-system/reflash-controller',
      'ServiceAccount reflash-system/reflash-controller',
    ])
  })

  test('has the definitions that reflash crds prints', async () => {
    const { stdout } = await cliResult(['crds'])
    const printed = parseAllDocuments(stdout).map((document) => document.toJS() as RenderedObject)
    expect(objects.filter(({ kind }) => kind === 'CustomResourceDefinition')).toEqual(printed)
  })

  test('runs in a namespace that enforces the restricted profile, which the pod keeps', () => {
    const { metadata } = objectOf(objects, 'Namespace', 'reflash-system')
    expect(metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' })
    expect(restrictedProblems(pod)).toEqual([])
  })

  test('keeps what others write on that namespace under Flux: it is how starts are stopped', () => {
    const { metadata } = objectOf(objects, 'Namespace', 'reflash-system')
    expect(metadata.annotations).toEqual({ 'kustomize.toolkit.fluxcd.io/ssa': 'Merge' })
  })

  test('runs two of this version, as nobody, on a file system that is read-only but for two places', () => {
    expect(spec.replicas).toBe(2)
    expect(container.image).toBe(`reflash:${version}`)
    expect(spec.template.metadata.labels['app.kubernetes.io/version']).toBe(version)
    expect(pod.securityContext).toMatchObject({ runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 })
    expect(container.securityContext).toMatchObject({ readOnlyRootFilesystem: true })
    expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toEqual(['/var/cache/reflash', '/tmp'])
    expect(pod.volumes!.map(({ name }) => name)).toEqual(container.volumeMounts.map(({ name }) => name))
    expect(container.args[container.args.indexOf('--cache') + 1]).toBe('/var/cache/reflash')
    expect(pod.serviceAccountName).toBe('reflash-controller')
  })

  test('is asked for its health where it listens', () => {
    const port = container.ports.find(({ name }) => name === 'http')!.containerPort
    expect(container.args[container.args.indexOf('--listen') + 1]).toBe(`0.0.0.0:${port}`)
    expect(container.startupProbe.httpGet).toMatchObject({ path: '/livez', port: 'http' })
    expect(container.livenessProbe.httpGet).toMatchObject({ path: '/livez', port: 'http' })
    expect(container.readinessProbe.httpGet).toMatchObject({ path: '/readyz', port: 'http' })
  })

  test('selects its own pods everywhere', () => {
    const selector = { 'app.kubernetes.io/name': 'reflash', 'app.kubernetes.io/instance': 'reflash' }
    expect(spec.selector.matchLabels).toEqual(selector)
    expect(spec.template.metadata.labels).toMatchObject(selector)
    const service = objectOf<RenderedObject & { spec: { selector: object; ports: object[] } }>(
      objects,
      'Service',
      'reflash-controller',
    )
    expect(service.spec.selector).toEqual(selector)
    expect(service.spec.ports).toMatchObject([{ name: 'http', port: 8080, targetPort: 'http' }])
    const budget = objectOf<RenderedObject & { spec: object }>(
      objects,
      'PodDisruptionBudget',
      'reflash-controller',
    )
    expect(budget.spec).toEqual({ maxUnavailable: 1, selector: { matchLabels: selector } })
    const { podSelector } = objectOf<NetworkPolicy>(objects, 'NetworkPolicy', 'reflash-controller').spec
    expect(podSelector.matchLabels).toEqual(selector)
  })

  test('lets in readers of the API, and out to names, the API server, image hosts and routers', () => {
    const policy = objectOf<NetworkPolicy>(objects, 'NetworkPolicy', 'reflash-controller').spec
    const named = (ports: Port[]): string[] => ports.map(({ port, protocol }) => `${protocol} ${port}`)
    expect(policy.policyTypes).toEqual(['Ingress', 'Egress'])
    expect(policy.ingress.map(({ from, ports }) => ({ from, ports: named(ports) }))).toEqual([
      {
        from: [{ namespaceSelector: { matchLabels: { 'reflash.dev/reader': 'true' } } }],
        ports: ['TCP http'],
      },
    ])
    expect(policy.egress!.map(({ to, ports }) => ({ to, ports: named(ports) }))).toEqual([
      { to: undefined, ports: ['UDP 53', 'TCP 53'] },
      { to: undefined, ports: ['TCP 443', 'TCP 6443'] },
      { to: undefined, ports: ['TCP 22'] },
    ])
  })
})

unlessMissing(missingRenderers())('the kustomization of the README', () => {
  const [, text] = /```yaml\n(# kustomization\.yaml[^`]*)```/.exec(read('README.md'))!
  const objects = renderOverlay((here) => parse(text!.replaceAll('../reflash', here('.'))) as object)

  test('brings base and components, with an image of ones own', () => {
    const { spec } = objectOf<Workload>(objects, 'Deployment', 'reflash-controller')
    expect(spec.template.spec.containers[0]!.image).toBe(`registry.example.com/reflash:${version}`)
    expect(objects.length).toBe(renderBase('monitoring', 'view-and-edit').length)
  })
})

unlessMissing(missingRenderers())('monitoring', () => {
  const objects = renderBase('monitoring')

  test('asks with a token that may read metrics, and lets nothing but Prometheus in', () => {
    const monitor = objectOf<
      RenderedObject & { spec: { endpoints: { authorization: { credentials: object } }[] } }
    >(objects, 'ServiceMonitor', 'reflash-controller')
    expect(monitor.spec.endpoints.map(({ authorization }) => authorization.credentials)).toEqual([
      { name: 'reflash-metrics', key: 'token' },
    ])
    const secret = objectOf<RenderedObject & { type: string }>(objects, 'Secret', 'reflash-metrics')
    expect(secret.type).toBe('kubernetes.io/service-account-token')
    expect(secret.metadata.annotations).toEqual({ 'kubernetes.io/service-account.name': 'reflash-metrics' })
    expect(objectOf<NetworkPolicy>(objects, 'NetworkPolicy', 'reflash-metrics').spec).toMatchObject({
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
              podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } },
            },
          ],
          ports: [{ port: 'http', protocol: 'TCP' }],
        },
      ],
    })
  })

  test('has every alert but those about a directory, which is not read in a cluster', () => {
    interface Groups {
      groups: { rules: { alert: string }[] }[]
    }
    const alertsOf = ({ groups }: Groups): string[] =>
      groups.flatMap(({ rules }) => rules.map(({ alert }) => alert))
    const rule = objectOf<RenderedObject & { spec: Groups }>(objects, 'PrometheusRule', 'reflash')
    const ofDirectories = ['ReflashSourceStale', 'ReflashSourceInvalid']
    expect([...alertsOf(rule.spec), ...ofDirectories].toSorted()).toEqual(
      alertsOf(parse(read('manifests/monitoring/rules.yaml')) as Groups).toSorted(),
    )
  })
})

describe('the restricted profile', () => {
  const good: PodSpec = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      { name: 'c', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
    ],
  }
  const own = good.containers[0]!.securityContext!
  const withContainer = (change: object): PodSpec => ({
    ...good,
    containers: [{ name: 'c', securityContext: { ...own, ...change } }],
  })

  test.each<[string, PodSpec]>([
    ['hostNetwork is on', { ...good, hostNetwork: true }],
    ['hostPID is on', { ...good, hostPID: true }],
    ['volume v is of kind hostPath', { ...good, volumes: [{ name: 'v', hostPath: { path: '/' } }] }],
    ['c: privileged', withContainer({ privileged: true })],
    ['c: allowPrivilegeEscalation is not false', withContainer({ allowPrivilegeEscalation: undefined })],
    ['c: runAsNonRoot is not true', withContainer({ runAsNonRoot: false })],
    ['c: runs as root', withContainer({ runAsUser: 0 })],
    ['c: does not drop ALL capabilities', withContainer({ capabilities: { drop: ['KILL'] } })],
    ['c: adds capabilities', withContainer({ capabilities: { drop: ['ALL'], add: ['SYS_ADMIN'] } })],
    ['c: has no seccomp profile', withContainer({ seccompProfile: { type: 'Unconfined' } })],
    ['c: has another procMount', withContainer({ procMount: 'Unmasked' })],
    [
      'c: has a port of the host',
      { ...good, containers: [{ ...good.containers[0]!, ports: [{ containerPort: 1, hostPort: 1 }] }] },
    ],
  ])('finds that %s', (problem, pod) => expect(restrictedProblems(pod)).toEqual([problem]))

  test('finds nothing in a pod that keeps it', () => expect(restrictedProblems(good)).toEqual([]))
})
