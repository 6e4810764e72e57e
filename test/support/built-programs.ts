import { accessSync, constants, globSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const pins = fileURLToPath(new URL('../programs/', import.meta.url))

/** A program that `.ci/build-programs` makes of what `test/programs` pins. */
export interface BuiltProgram {
  name: string
  version: string
  path: string
}

/** Every pinned release of a program, built or not; the one of `KUBEBUILDER_ASSETS` stands for all of them. */
export function builtPrograms(name: string): BuiltProgram[] {
  const { KUBEBUILDER_ASSETS: assets, XDG_CACHE_HOME: cache = join(homedir(), '.cache') } = process.env
  if (assets !== undefined && isProgram(join(assets, name))) {
    return [{ name, version: basename(assets), path: join(assets, name) }]
  }
  return globSync(`${name}/*/go.mod`, { cwd: pins }).map((pin) => {
    const version = pinnedVersion(readFileSync(join(pins, pin), 'utf8'))
    return { name, version, path: join(cache, 'reflash', name, version, name) }
  })
}

/** The version of the module that the tool of a go.mod is in. */
function pinnedVersion(pin: string): string {
  const [, tool] = /^tool (.*)$/m.exec(pin)!
  const modules = Array.from(pin.matchAll(/^\t(\S+) v(\S+)/gm), ([, path, version]) => ({ path, version }))
  return modules.find(({ path }) => `${tool}/`.startsWith(`${path}/`))!.version!
}

/** What there is to say of programs that were not built. */
export const notBuilt = (programs: readonly BuiltProgram[]): string[] =>
  programs
    .filter(({ path }) => !isProgram(path))
    .map(({ name, version }) => `${name} ${version}, which .ci/build-programs makes`)

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
