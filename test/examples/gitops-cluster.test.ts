import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { evaluate } from '@marcbachmann/cel-js'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { validateDirectory } from '../../src/app.ts'
import {
  missingRenderers,
  objectOf,
  renderBase,
  renderFolder,
  type RenderedObject,
} from '../support/rendered-manifests.ts'
import { unlessMissing } from '../support/requires.ts'
import { makeTree } from '../support/tree.ts'

const top = fileURLToPath(new URL('../../', import.meta.url))
const example = join(top, 'examples/gitops')
const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string }

unlessMissing(missingRenderers())('the fleet of the example in a cluster', () => {
  const fleet = renderFolder('examples/gitops/cluster')
  const own = fleet.filter(({ apiVersion }) => apiVersion.startsWith('reflash.dev/'))

  test('is valid, and has every object of the directory', async () => {
    const folder = await makeTree({ 'fleet.yaml': own.map((object) => stringify(object)).join('---\n') })
    const inCluster = await validateDirectory(folder, {}, new AbortController().signal)
    const standalone = await validateDirectory(example, {}, new AbortController().signal)
    expect(inCluster.problems.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(inCluster.objects).toBe(standalone.objects)
  })

  test('is in one namespace, where Reflash may get Secrets', () => {
    expect(new Set(own.map(({ metadata }) => metadata.namespace))).toEqual(new Set(['fleet']))
    objectOf(fleet, 'Namespace', 'fleet')
    const binding = objectOf<RenderedObject & { subjects: object[]; roleRef: object }>(
      fleet,
      'RoleBinding',
      'reflash-credentials',
    )
    const { subjects, roleRef } = objectOf<typeof binding>(renderBase(), 'RoleBinding', 'reflash-credentials')
    expect(binding).toMatchObject({ metadata: { namespace: 'fleet' }, subjects, roleRef })
  })

  test('finds its images by URL', () => {
    const images = own.filter(({ kind }) => kind === 'FirmwareImage') as (RenderedObject & {
      spec: { source: object }
    })[]
    expect(images.length).toBe(2)
    for (const { metadata, spec } of images) {
      expect(spec.source).toEqual({ url: `https://firmware.example.com/${metadata.name}.bin` })
    }
  })
})

interface Source {
  repoURL: string
  targetRevision: string
  path: string
  kustomize?: { images: string[]; components: string[] }
}
interface Application extends RenderedObject {
  spec: { project: string; source: Source; destination: { server: string; namespace: string } }
}
interface Project extends RenderedObject {
  spec: {
    sourceRepos: string[]
    destinations: { server: string; namespace: string }[]
    clusterResourceWhitelist: { group: string; kind: string }[]
  }
}

/** Where a path of either repository is here. */
const folderOf = (repository: string, path: string): string =>
  join(repository === 'https://git.example.com/reflash' ? top : example, path)

unlessMissing(missingRenderers())('the layout for Argo CD', () => {
  const objects = renderFolder('examples/gitops/argocd')
  const project = objectOf<Project>(objects, 'AppProject', 'reflash').spec
  const applications = ['reflash', 'fleet'].map((name) => objectOf<Application>(objects, 'Application', name))
  const applied = [...renderBase('view-and-edit'), ...renderFolder('examples/gitops/cluster')]

  test('takes both repositories from where the project allows', () => {
    for (const { spec, metadata } of applications) {
      expect(metadata.namespace).toBe('argocd')
      expect(spec.project).toBe('reflash')
      expect(project.sourceRepos).toContain(spec.source.repoURL)
      expect(project.destinations).toContainEqual(spec.destination)
      const folder = folderOf(spec.source.repoURL, spec.source.path)
      for (const path of ['.', ...(spec.source.kustomize?.components ?? [])]) {
        expect(existsSync(join(resolve(folder, path), 'kustomization.yaml'))).toBe(true)
      }
    }
  })

  test('installs this version', () => {
    const { targetRevision, kustomize } = applications[0]!.spec.source
    expect(targetRevision).toBe(`v${version}`)
    expect(kustomize!.images).toEqual([`reflash=registry.example.com/reflash:${version}`])
  })

  test('may make all that it applies, and no more', () => {
    const groupOf = (apiVersion: string): string =>
      apiVersion.includes('/') ? apiVersion.split('/')[0]! : ''
    const ofCluster = applied.filter(({ metadata }) => metadata.namespace === undefined)
    const made = new Set(ofCluster.map(({ apiVersion, kind }) => `${groupOf(apiVersion)}/${kind}`))
    expect(new Set(project.clusterResourceWhitelist.map(({ group, kind }) => `${group}/${kind}`))).toEqual(
      made,
    )
    expect(new Set(project.destinations.map(({ namespace }) => namespace))).toEqual(
      new Set(applied.flatMap(({ metadata }) => metadata.namespace ?? [])),
    )
  })
})

interface FluxObject extends RenderedObject {
  spec: {
    url: string
    ref: { tag?: string; branch?: string }
    sourceRef: { name: string }
    path: string
    components?: string[]
    images?: { name: string; newTag: string }[]
    dependsOn?: { name: string }[]
    wait: boolean
    prune: boolean
    healthCheckExprs: { kind: string; failed: string; current: string }[]
  }
}

unlessMissing(missingRenderers())('the layout for Flux', () => {
  const objects = renderFolder('examples/gitops/flux')
  const of = (kind: string, name: string) => objectOf<FluxObject>(objects, kind, name).spec

  test('waits for what it applies, first Reflash and then the fleet', () => {
    for (const name of ['reflash', 'fleet']) {
      const { sourceRef, path, components = [], wait, prune } = of('Kustomization', name)
      expect({ wait, prune }).toEqual({ wait: true, prune: true })
      const folder = folderOf(of('GitRepository', sourceRef.name).url, path)
      for (const part of ['.', ...components]) {
        expect(existsSync(join(resolve(folder, part), 'kustomization.yaml'))).toBe(true)
      }
    }
    expect(of('Kustomization', 'fleet').dependsOn).toEqual([{ name: 'reflash' }])
  })

  test('installs this version', () => {
    expect(of('GitRepository', 'reflash').ref).toEqual({ tag: `v${version}` })
    expect(of('Kustomization', 'reflash').images).toEqual([
      { name: 'reflash', newName: 'registry.example.com/reflash', newTag: version },
    ])
  })

  /** As Flux judges, once the generation is observed; what cannot be evaluated yet is waited for. */
  function healthOf(kind: string, state: string): string {
    const path = join(top, 'manifests/argocd/reflash.dev', kind, 'testdata', `${state}.yaml`)
    const object = parse(readFileSync(path, 'utf8')) as { status?: object }
    const { failed, current } = of('Kustomization', 'fleet').healthCheckExprs.find(
      (item) => item.kind === kind,
    )!
    if (object.status === undefined) {
      expect(() => evaluate(failed, object)).toThrow('status')
      return 'InProgress'
    }
    if (evaluate(failed, object) === true) return 'Failed'
    return evaluate(current, object) === true ? 'Current' : 'InProgress'
  }

  test.each([
    ['Device', 'new', 'InProgress'],
    ['Device', 'on-target', 'Current'],
    ['Device', 'unreachable', 'Current'],
    ['Device', 'host-key-changed', 'Current'],
    ['Device', 'no-credentials', 'Failed'],
    ['Device', 'twin', 'Failed'],
    ['UpgradePolicy', 'new', 'InProgress'],
    ['UpgradePolicy', 'progressing', 'Current'],
    ['UpgradePolicy', 'waiting-for-offline', 'Current'],
    ['UpgradePolicy', 'only-failures-left', 'Current'],
    ['UpgradePolicy', 'no-build', 'Failed'],
  ])('judges a %s that is %s as %s', (kind, state, health) => expect(healthOf(kind, state)).toBe(health))
})

test('no file of a layout is left out', () => {
  for (const folder of ['firmware', 'policies', 'sites', 'cluster', 'argocd', 'flux']) {
    const { resources } = parse(readFileSync(join(example, folder, 'kustomization.yaml'), 'utf8')) as {
      resources: string[]
    }
    const files = globSync('**/*.yaml', { cwd: join(example, folder) })
    expect(resources.filter((path) => path.endsWith('.yaml')).toSorted()).toEqual(
      files.filter((path) => path !== 'kustomization.yaml').toSorted(),
    )
  }
})
