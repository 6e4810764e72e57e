import type { ErrorCode } from '../../core/errors.ts'

interface MessageRow {
  text: RegExp
  code: Extract<ErrorCode, 'Rejected' | 'Unsupported' | 'UploadFailed' | 'NoSpace' | 'Busy'>
}

/**
 * What the check of sysupgrade says, and what it means. The exit code is the verdict; the text only says which kind.
 * Texts of OpenWrt 14.07 to 25.12 (package/base-files, lib/upgrade); lines may begin with a date and `upgrade: `.
 */
export const messages: readonly MessageRow[] = [
  { text: /Device .* not supported by this image/, code: 'Rejected' },
  { text: /The device is supported, but this image is incompatible for sysupgrade/, code: 'Rejected' },
  { text: /The device is supported, but the config is incompatible/, code: 'Rejected' },
  { text: /Image signature not (found|present)/, code: 'Rejected' },
  { text: /corrupted sysupgrade tar file|corrupted compressed sysupgrade file/i, code: 'UploadFailed' },
  { text: /Contents do not match checksum|Invalid \(corrupted\?\) TRX/, code: 'UploadFailed' },
  { text: /Image file not found|Failed to check image/, code: 'UploadFailed' },
  { text: /No space left on device|I\/O error|Out of memory|Killed/i, code: 'NoSpace' },
  { text: /Failed to create the configuration backup/, code: 'NoSpace' },
  { text: /Cannot save config while running from ramdisk/, code: 'Unsupported' },
  { text: /Invalid option:/, code: 'Unsupported' },
  { text: /Cannot find '\/overlay\/upper\/etc'|'\/rom\/' is required by '-u'/, code: 'Unsupported' },
  { text: /Firmware upgrade is not implemented for this platform/, code: 'Unsupported' },
  { text: /Sysupgrade is not (yet|currently) supported on/, code: 'Unsupported' },
  { text: /Unable to (determine upgrade device|find )/, code: 'Unsupported' },
  { text: /Invalid image metadata|Failed to parse message data/, code: 'Rejected' },
  { text: /Invalid image (type|magic)|invalid sysupgrade file/i, code: 'Rejected' },
  { text: /Unsupported image|hardware ID mismatch|Use .*-sysupgrade\.bin files/, code: 'Rejected' },
  { text: /it contains a bootloader|No valid TRX|Firmware doesn't match device/, code: 'Rejected' },
  // Last: a passing check prints it as well where images carry no metadata.
  { text: /Image metadata not (found|present)/, code: 'Rejected' },
]

/** What a refusal means: its class, and the line that says why. A text nobody knows is a refusal of the image. */
export function classify(lines: readonly string[]): { code: MessageRow['code']; line: string } {
  for (const { text, code } of messages) {
    const line = lines.find((candidate) => text.test(candidate))
    if (line !== undefined) return { code, line }
  }
  return { code: 'Rejected', line: lines.at(-1) ?? 'no reason given' }
}
