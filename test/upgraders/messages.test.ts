import { describe, expect, it } from 'vitest'
import { classify } from '../../src/upgraders/openwrt/messages.ts'

describe('what sysupgrade says', () => {
  it.each([
    ['Device tplink,archer-c7-v5 not supported by this image', 'Rejected'],
    ['Image metadata not found', 'Rejected'],
    ['Image metadata not present', 'Rejected'],
    ['Invalid image metadata', 'Rejected'],
    ['Failed to parse message data', 'Rejected'],
    [
      'The device is supported, but this image is incompatible for sysupgrade based on the image version (1.0->2.0).',
      'Rejected',
    ],
    ['The device is supported, but the config is incompatible to the new image (1.0->1.1).', 'Rejected'],
    ['Image signature not present', 'Rejected'],
    ['Invalid image type.', 'Rejected'],
    ["Invalid image magic '1f8b0800'", 'Rejected'],
    ['invalid sysupgrade file.', 'Rejected'],
    ['Unsupported image (model not in support-list)', 'Rejected'],
    ['hardware ID mismatch', 'Rejected'],
    ['Use *-sysupgrade.bin files', 'Rejected'],
    ['Invalid image, it contains a bootloader.', 'Rejected'],
    ['No valid TRX image detected', 'Rejected'],
    ["Firmware doesn't match device", 'Rejected'],
    ['corrupted sysupgrade tar file', 'UploadFailed'],
    ['Contents do not match checksum', 'UploadFailed'],
    ['Invalid (corrupted?) TRX', 'UploadFailed'],
    ['Image file not found.', 'UploadFailed'],
    ['Failed to check image', 'UploadFailed'],
    ['Firmware upgrade is not implemented for this platform.', 'Unsupported'],
    ['Sysupgrade is not yet supported on this device', 'Unsupported'],
    ['Unable to determine upgrade device', 'Unsupported'],
    ['Invalid option: -k', 'Unsupported'],
    ["Cannot find '/overlay/upper/etc', required for '-c' or '-o'", 'Unsupported'],
    ["'/rom/' is required by '-u'", 'Unsupported'],
    ['cat: write error: No space left on device', 'NoSpace'],
    ['standard output: I/O error', 'NoSpace'],
    ['Killed', 'NoSpace'],
    ['Failed to create the configuration backup.', 'NoSpace'],
  ])('"%s" is %s', (line, code) => {
    expect(classify([line]).code).toBe(code)
    // From 21.02 on with a date, in whatever zone the device has.
    const dated = `Mon Nov 23 14:31:25 UTC 2026 upgrade: ${line}`
    expect(classify(['Reading partition table from bootdisk...', dated, 'Image check failed.'])).toEqual({
      code,
      line: dated,
    })
  })

  it('prefers the cause to a message that passing checks print as well', () => {
    expect(classify(['Image metadata not present', 'corrupted sysupgrade tar file']).code).toBe(
      'UploadFailed',
    )
  })

  it('is a refusal of the image when nobody knows it', () => {
    expect(classify(['something new', 'Image check failed.'])).toEqual({
      code: 'Rejected',
      line: 'Image check failed.',
    })
    expect(classify([]).line).toBe('no reason given')
  })
})
