/** Writes what other files of the manifests are made from: `node test/manifests/generate.ts`; `--check` says what is stale. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { writeGenerated } from '../support/write-generated.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8')
const yamlText = (value: unknown): string => stringify(value, { lineWidth: 0 })

interface Crd {
  metadata: object
}

/** A CustomResourceDefinition as a template of the chart; with it would go every object of its kind, so it is kept. */
function crdTemplate(file: string): string {
  const crd = parse(read(file)) as Crd
  const metadata = { ...crd.metadata, annotations: { 'helm.sh/resource-policy': 'keep' } }
  const text = yamlText({ ...crd, metadata }).replaceAll('{{', '{{ "{{" }}')
  return `{{- if .Values.crds.install }}\n${text}{{- end }}\n`
}

const rules = parse(read('manifests/monitoring/rules.yaml')) as {
  groups: { name: string; rules: { expr: string }[] }[]
}
/** In a cluster no directory is read, so its metrics are not there. */
const groups = rules.groups.map(({ name, rules: all }) => ({
  name,
  rules: all.filter(({ expr }) => !expr.includes('reflash_source_')),
}))

const prometheusRule = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PrometheusRule',
  metadata: {
    name: 'reflash',
    namespace: 'reflash-system',
    labels: {
      'app.kubernetes.io/name': 'reflash',
      'app.kubernetes.io/instance': 'reflash',
      'app.kubernetes.io/part-of': 'reflash',
    },
  },
  spec: { groups },
}

const argocd = 'manifests/argocd'
/** For `kubectl patch configmap argocd-cm -n argocd --patch-file manifests/argocd/argocd-cm.yaml`. */
const argocdSettings = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'argocd-cm',
    namespace: 'argocd',
    labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
  },
  data: {
    ...Object.fromEntries(
      globSync('*/*/health.lua', { cwd: `${root}${argocd}` })
        .toSorted()
        .map((path) => {
          const [group, kind] = path.split('/')
          return [`resource.customizations.health.${group}_${kind}`, read(`${argocd}/${path}`)]
        }),
    ),
    // Each probe of each router writes these, and they say nothing of its health.
    'resource.customizations.ignoreResourceUpdates.reflash.dev_Device': yamlText({
      jsonPointers: ['/status/lastProbeTime', '/status/nextProbeTime'],
    }),
  },
}

const chart = 'manifests/helm/reflash'
writeGenerated({
  'manifests/components/monitoring/prometheus-rule.yaml': yamlText(prometheusRule),
  [`${argocd}/argocd-cm.yaml`]: yamlText(argocdSettings),
  [`${chart}/files/rules.yaml`]: yamlText({ groups }),
  [`${chart}/files/reflash-fleet.json`]: read('manifests/monitoring/reflash-fleet.json'),
  ...Object.fromEntries(
    globSync('crds/reflash.dev_*.yaml', { cwd: root }).map((file) => [
      `${chart}/templates/${file}`,
      crdTemplate(file),
    ]),
  ),
})
