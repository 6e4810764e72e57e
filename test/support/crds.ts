import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ApiServer } from './api-server.ts'
import { until } from './until.ts'

const folder = fileURLToPath(new URL('../../crds/', import.meta.url))
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

export interface CustomResourceDefinition {
  metadata: { name: string; resourceVersion: string; generation: number }
  spec: { group: string; names: { plural: string }; versions: { name: string }[] }
  status: { conditions: { type: string; status: string; reason: string; message: string }[] }
}

/** Applies every file of `crds/`, and waits until each kind is served. Gives the definitions as they then are. */
export async function installCrds(server: ApiServer): Promise<CustomResourceDefinition[]> {
  const files = globSync('reflash.dev_*.yaml', { cwd: folder }).toSorted()
  return Promise.all(files.map((file) => install(server, file)))
}

async function install(server: ApiServer, file: string): Promise<CustomResourceDefinition> {
  // Files are named as kubebuilder names them: GROUP_PLURAL.yaml.
  const [group, plural] = basename(file, '.yaml').split('_')
  const path = `${definitions}/${plural}.${group}`
  const { status, body } = await server.request('PATCH', `${path}?fieldManager=test&fieldValidation=Strict`, {
    body: readFileSync(join(folder, file), 'utf8'),
    contentType: 'application/apply-patch+yaml',
  })
  if (status >= 300) throw new Error(`${file} was refused: ${JSON.stringify(body)}`)
  return until(`${plural} are served`, async () => {
    const definition = (await server.request('GET', path)).body as CustomResourceDefinition
    const isEstablished = definition.status?.conditions?.some(
      ({ type, status: is }) => type === 'Established' && is === 'True',
    )
    if (!isEstablished) return undefined
    const { name } = definition.spec.versions[0]!
    // What serves a kind learns of the condition a little later.
    const list = await server.request('GET', `/apis/${group}/${name}/${plural}`)
    return list.status === 200 ? definition : undefined
  })
}
