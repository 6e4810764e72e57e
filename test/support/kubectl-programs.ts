import { accessSync, constants, globSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const pins = fileURLToPath(new URL('../kubectl/', import.meta.url))

export interface KubectlProgram {
  version: string
  path: string
}

/** Where `.ci/build-kubectl` puts what `test/kubectl` pins; the one of `KUBEBUILDER_ASSETS` stands for all of them. */
export function kubectlPrograms(): KubectlProgram[] {
  const { KUBEBUILDER_ASSETS: assets, XDG_CACHE_HOME: cache = join(homedir(), '.cache') } = process.env
  if (assets !== undefined && isProgram(join(assets, 'kubectl'))) {
    return [{ version: basename(assets), path: join(assets, 'kubectl') }]
  }
  return globSync('*/go.mod', { cwd: pins }).map((pin) => {
    const found = /^\tk8s\.io\/kubernetes v(?<version>[\d.]+)/m.exec(readFileSync(join(pins, pin), 'utf8'))
    const { version } = found!.groups as { version: string }
    return { version, path: join(cache, 'reflash', 'kubectl', version, 'kubectl') }
  })
}

/** What there is to say of programs that were not built. */
export const missingKubectls = (programs: readonly KubectlProgram[]): string[] =>
  programs
    .filter(({ path }) => !isProgram(path))
    .map(({ version }) => `kubectl ${version}, which .ci/build-kubectl makes`)

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
