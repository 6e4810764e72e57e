import { parse, compare, type SemVer } from 'semver'

export interface Version {
  version?: string
  order?: number
}

/**
 * Orders two versions, as a sort does: by `order` where both have one, else as semantic versions padded to three numbers,
 * leading zeros allowed. Undefined where that says nothing, as for snapshots.
 */
export function compareVersions(a: Version, b: Version): number | undefined {
  if (a.order !== undefined && b.order !== undefined) return Math.sign(a.order - b.order)
  const left = read(a.version)
  const right = read(b.version)
  return left && right ? compare(left, right) : undefined
}

function read(version: string | undefined): SemVer | undefined {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:([-+])([\w.+-]+))?$/.exec(version?.trim() ?? '')
  if (!match) return undefined
  const [, major, minor = '0', patch = '0', separator = '', tag = ''] = match
  // A branch's snapshot moves: it has no place in the order.
  if (/snapshot/i.test(tag)) return undefined
  const suffix = separator === '-' ? separator + numbered(tag) : separator + tag
  return parse(`${major}.${minor}.${patch}${suffix}`, { loose: true }) ?? undefined
}

/** `rc10` becomes `rc.10`, because semver takes numbers as numbers only when they stand alone. */
const numbered = (tag: string): string => tag.replaceAll(/(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])/gi, '.')
