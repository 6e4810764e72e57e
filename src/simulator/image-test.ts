import { devicePaths } from '../upgraders/openwrt/scripts.ts'
import type { Machine, StoredFirmware } from './machine.ts'
import { traitsOf, type Traits } from './release.ts'

interface Verdict {
  code: number
  output: string
}

const failed = 'Image check failed.'

/** What is wrong with an image that does carry metadata. */
const objectionTo = (
  firmware: StoredFirmware,
  options: readonly string[],
  { board, compatVersion, traits }: { board: string; compatVersion: string; traits: Traits },
): string[] => {
  const unsupported = [
    `Device ${board} not supported by this image`,
    `Supported devices: ${firmware.boards.join(' ')}`,
  ]
  if (!firmware.boards.includes(board)) return unsupported
  // Releases that know no compat version find a sentence where the board should be.
  if (!traits.compatVersion) return firmware.compatVersion === '1.0' ? [] : unsupported
  if (firmware.compatVersion === compatVersion) return []
  const change = `(${compatVersion}->${firmware.compatVersion})`
  if (firmware.compatVersion.split('.')[0] !== compatVersion.split('.')[0])
    return [
      `The device is supported, but this image is incompatible for sysupgrade based on the image version ${change}.`,
    ]
  if (options.includes('--ignore-minor-compat-version')) return []
  return [
    `The device is supported, but the config is incompatible to the new image ${change}. Please upgrade without keeping config (sysupgrade -n).`,
  ]
}

const judge = (machine: Machine, options: readonly string[], isStart: boolean): Verdict => {
  const { state, faults } = machine
  const traits = traitsOf(state.release)
  const unknown = ['-T', ...options].find((option) => traits.unknownOptions.includes(option))
  if (unknown !== undefined) return { code: 1, output: `Invalid option: ${unknown}` }
  const refused = faults.take('TestRefused', ({ atStart = isStart }) => atStart === isStart)
  if (refused !== undefined) return { code: 1, output: refused.text }
  const image = state.files.get(devicePaths.image)
  if (image === undefined) return { code: 1, output: 'Image file not found.' }
  if (!traits.imageMetadata) return { code: 0, output: '' }
  if (image.firmware === undefined) return { code: 1, output: `Image metadata not present\n${failed}` }
  const objection = objectionTo(image.firmware, options, { ...state, traits })
  return objection.length === 0
    ? { code: 0, output: '' }
    : { code: 1, output: [...objection, failed].join('\n') }
}

/** `sysupgrade -T OPTIONS` on the image in place, as its release would judge it; within the guard or before it. */
export const testImage = (machine: Machine, options: readonly string[], isStart = false): Verdict => {
  const { state } = machine
  const { code, output } = judge(machine, options, isStart)
  machine.record({ type: 'Tested', sha256: state.files.get(devicePaths.image)?.sha256, code })
  // Since 21.02 every line begins like this.
  const prefix = traitsOf(state.release).compatVersion ? 'Mon Nov 23 14:31:25 UTC 2026 upgrade: ' : ''
  return { code, output: output === '' ? '' : output.replaceAll(/^/gm, prefix) }
}
