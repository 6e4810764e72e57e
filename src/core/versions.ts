import { parse, compare, type SemVer } from 'semver'

export interface Version {
  version?: string
  order?: number
}

/**
 * Orders two versions: by `order` where both have one, else as semantic versions padded to three numbers, leading zeros
 * allowed. Undefined where that says nothing, as for snapshots.
 */
export function compareVersions(a: Version, b: Version): number | undefined {
  if (a.order !== undefined && b.order !== undefined) return Math.sign(a.order - b.order)
  const left = read(a.version)
  const right = read(b.version)
  return left && right ? compare(left, right) : undefined
}

function read(version: string | undefined): SemVer | undefined {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+](.+))?$/.exec(version?.trim() ?? '')
  if (!match) return undefined
  const [, major, minor = '0', patch = '0', tag] = match
  // A branch's snapshot moves: it has no place in the order.
  if (tag !== undefined && /snapshot/i.test(tag)) return undefined
  const separator = version!.includes('+') && !version!.includes('-') ? '+' : '-'
  return parse(`${major}.${minor}.${patch}${tag === undefined ? '' : separator + tag}`, { loose: true }) ?? undefined
}
