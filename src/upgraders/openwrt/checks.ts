import type { UpgradeOptions } from '../../api/resources.ts'
import { ReflashError } from '../../core/errors.ts'
import type { Probe } from '../../core/probe.ts'
import { compareVersions } from '../../core/versions.ts'
import type { Job } from '../../ports/upgrader.ts'

/** Room that the device needs beside the image while it upgrades. */
export const memoryReserveBytes = 8 * 1024 * 1024

interface OptionRow {
  field: keyof UpgradeOptions
  flag: string
  /** First release that knows it; without one, every release that can be upgraded. */
  since?: string
}

/** Options of sysupgrade, in the order in which they are passed (package/base-files/files/sbin/sysupgrade, by tag). */
export const optionTable: readonly OptionRow[] = [
  { field: 'keepChangedFiles', flag: '-c' },
  { field: 'keepOverlay', flag: '-o', since: '19.07' },
  { field: 'skipUnchangedFiles', flag: '-u', since: '19.07' },
  { field: 'keepPackageList', flag: '-k', since: '19.07' },
  { field: 'keepPartitionTable', flag: '-p', since: '17.01' },
  { field: 'ignoreMinorCompatVersion', flag: '--ignore-minor-compat-version', since: '22.03' },
]

/** The options as arguments of sysupgrade: from a closed list, so that nothing else can reach the device. */
export const optionArguments = (options: UpgradeOptions): string[] =>
  optionTable.filter(({ field }) => options[field] === true).map(({ flag }) => flag)

/** Refuses what can be known to fail before a byte is sent. @throws ReflashError `Rejected`, `Unsupported`, `Busy`. */
export function checkJob({ image, options }: Job, probe: Probe): void {
  if (probe.upgrading) throw new ReflashError('Busy', 'an upgrade runs on the device already')
  if (!image.boards.includes(probe.board)) {
    throw new ReflashError(
      'Rejected',
      `the image is for ${image.boards.join(', ')}; the device is ${probe.board}`,
    )
  }
  checkCompatVersion(image.metadata?.compatVersion ?? '1.0', probe.compatVersion ?? '1.0', options)
  for (const { field, since } of optionTable) {
    if (options[field] !== true || since === undefined) continue
    const order = compareVersions(
      probe.release.version === undefined ? {} : { version: probe.release.version },
      { version: since },
    )
    if (order !== undefined && order < 0) {
      throw new ReflashError(
        'Unsupported',
        `option ${field} needs OpenWrt ${since}; the device runs ${probe.release.version}`,
      )
    }
  }
}

/** lib/upgrade/fwtool.sh: the major number never may differ, the minor one only when told so. */
function checkCompatVersion(image: string, device: string, options: UpgradeOptions): void {
  const [imageMajor, imageMinor] = image.split('.')
  const [deviceMajor, deviceMinor] = device.split('.')
  if (imageMajor !== deviceMajor) {
    throw new ReflashError(
      'Rejected',
      `the image has compat version ${image}, the device ${device}: it cannot be upgraded in place`,
    )
  }
  if (imageMinor !== deviceMinor && options.ignoreMinorCompatVersion !== true) {
    throw new ReflashError(
      'Rejected',
      `the image has compat version ${image}, the configuration on the device ${device}; set options.ignoreMinorCompatVersion if it still fits`,
    )
  }
}
