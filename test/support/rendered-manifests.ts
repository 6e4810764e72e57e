import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments, stringify } from 'yaml'
import { builtPrograms, notBuilt } from './built-programs.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
export const newestKubectl = builtPrograms('kubectl')
  .toSorted((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }))
  .at(-1)!
const [helm] = builtPrograms('helm')

/** What this machine lacks to render manifests: for `unlessMissing`. */
export const missingRenderers = (): string[] => notBuilt([newestKubectl, helm!])

export interface RenderedObject {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
  }
}

export type Component = 'monitoring' | 'view-and-edit'

/** What `kubectl apply -k` would apply: `manifests/base`, with components over it. */
export function renderBase(...components: Component[]): RenderedObject[] {
  if (components.length === 0) return renderFolder('manifests/base')
  return renderOverlay((here) => ({
    resources: [here('manifests/base')],
    components: components.map((name) => here(`manifests/components/${name}`)),
  }))
}

/** What a kustomization outside of the repository makes of it; `here` gives a path that kustomize takes, which is relative. */
export function renderOverlay(overlay: (here: (path: string) => string) => object): RenderedObject[] {
  const folder = mkdtempSync(join(tmpdir(), 'reflash-overlay-'))
  try {
    const kustomization = overlay((path) => relative(folder, join(root, path)))
    writeFileSync(join(folder, 'kustomization.yaml'), stringify(kustomization))
    return objectsOf(output(newestKubectl.path, ['kustomize', folder]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What kustomize makes of a folder of the repository. */
export const renderFolder = (path: string): RenderedObject[] =>
  objectsOf(output(newestKubectl.path, ['kustomize', join(root, path)]))

export interface Release {
  name: string
  namespace: string
}
const release: Release = { name: 'reflash', namespace: 'reflash-system' }

/** What `helm install` would apply, with these values over those of the chart. @throws Error with what helm says. */
export function renderChart(values: object, { name, namespace }: Release = release): RenderedObject[] {
  const chart = join(root, 'manifests/helm/reflash')
  const flags = ['--namespace', namespace, '--kube-version', '1.36.0', '--values', '-']
  return objectsOf(output(helm!.path, ['template', name, chart, ...flags], JSON.stringify(values)))
}

/** What `helm lint` says; throws where it is not content. */
export const lintChart = (): string => output(helm!.path, ['lint', join(root, 'manifests/helm/reflash')])

const objectsOf = (text: string): RenderedObject[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as RenderedObject | null)
    .filter((object) => object !== null)

function output(program: string, args: string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** The one object of this kind and name. */
export function objectOf<T extends RenderedObject>(
  objects: readonly RenderedObject[],
  kind: string,
  name: string,
): T {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name)
  if (found.length !== 1) throw new Error(`${found.length} objects are ${kind} ${name}`)
  return found[0] as T
}
