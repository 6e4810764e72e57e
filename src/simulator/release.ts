/** One release of OpenWrt, as it reports itself. */
export interface Release {
  /** DISTRIB_ID. */
  distribution: string
  /** DISTRIB_RELEASE. */
  version: string
  /** DISTRIB_REVISION: what a flash is judged by. */
  revision: string
}

/** What the releases in the field differ in, as far as an upgrade notices. */
export interface Traits {
  /** Else md5sum alone. Since 17.01. */
  sha256sum: boolean
  /** MemAvailable in /proc/meminfo (Linux 3.14). Since 15.05. */
  memAvailable: boolean
  /** dropbear offers the SHA-1 key exchange alone. Until 15.05. */
  legacyOnly: boolean
  /** dropbear has ed25519 host keys and takes ed25519 user keys. Since 21.02. */
  ed25519: boolean
  /** /etc/openwrt_release uses double quotes. Until 14.07. */
  doubleQuotes: boolean
  /** The configuration has a compat version. Since 21.02. */
  compatVersion: boolean
  /** sysupgrade looks at the metadata of images. Since 17.01. */
  imageMetadata: boolean
  /** Options of sysupgrade that it does not know. */
  unknownOptions: readonly string[]
}

/** The first branch that knows an option of sysupgrade; those not listed were always there. */
const optionSince: Readonly<Record<string, number>> = {
  '-T': 14.07,
  '-p': 17.01,
  '-k': 19.07,
  '-u': 19.07,
  '-o': 19.07,
  '--ignore-minor-compat-version': 22.03,
}

const release = (version: string, revision: string, distribution = 'OpenWrt'): Release => ({
  distribution,
  version,
  revision,
})

/** Releases that exist, with their revisions. */
export const knownReleases = {
  '12.09': release('12.09', 'r36088'),
  '15.05.1': release('15.05.1', 'r48532'),
  '17.01.7': release('17.01.7', 'r4030-6028f00df0', 'LEDE'),
  '18.06.9': release('18.06.9', 'r8077-7cbbab7246'),
  '19.07.10': release('19.07.10', 'r11427-9ce6aa9d8d'),
  '21.02.7': release('21.02.7', 'r16847-f8282da11e'),
  '22.03.7': release('22.03.7', 'r20341-591b7e93d3'),
  '23.05.5': release('23.05.5', 'r24106-10cc5fcd00'),
  '23.05.6': release('23.05.6', 'r24232-539228933c'),
  '24.10.0': release('24.10.0', 'r28427-6df0e3d02a'),
  '24.10.8': release('24.10.8', 'r29233-443ec4032a'),
  '25.12.4': release('25.12.4', 'r32933-4ccb782af7'),
  '25.12.5': release('25.12.5', 'r33051-f5dae5ece4'),
} as const satisfies Record<string, Release>

const codeNames: Record<string, string> = {
  '14.07': 'Barrier Breaker',
  '15.05': 'Chaos Calmer',
  '17.01': 'Reboot',
}

/** DISTRIB_DESCRIPTION. */
export const describeRelease = ({ distribution, version, revision }: Release): string => {
  const codeName = codeNames[version.slice(0, 5)]
  const name = codeName === undefined ? distribution : `${distribution} ${codeName}`
  // Until 15.05 the description had no revision.
  return branchOf(version) < 17 ? `${name} ${version}` : `${name} ${version} ${revision}`
}

/** 23.05 of `23.05.5`; snapshots are newer than everything. */
const branchOf = (version: string): number => {
  const branch = Number.parseFloat(version)
  return Number.isNaN(branch) ? Infinity : branch
}

export const traitsOf = ({ version }: Release): Traits => {
  const branch = branchOf(version)
  return {
    sha256sum: branch >= 17.01,
    memAvailable: branch >= 15.05,
    legacyOnly: branch < 17.01,
    ed25519: branch >= 21.02,
    doubleQuotes: branch <= 14.07,
    compatVersion: branch >= 21.02,
    imageMetadata: branch >= 17.01,
    unknownOptions: Object.keys(optionSince).filter((option) => branch < optionSince[option]!),
  }
}
