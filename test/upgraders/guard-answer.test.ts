import { describe, expect, it } from 'vitest'
import { parseGuard } from '../../src/upgraders/openwrt/guard.ts'

describe("the guard's answer", () => {
  it('is a start only when it says so, last and alone', () => {
    expect(parseGuard('GUARD 0\n')).toEqual({ kind: 'Started' })
    for (const output of [
      '',
      'GUARD',
      'GUARD 0 or so\n',
      'xGUARD 0\n',
      'GUARD 0\nmore\n',
      'GUARD 89\n',
      'GUARD 093\n',
      'sysupgrade\n',
    ]) {
      expect(parseGuard(output).kind, JSON.stringify(output)).toBe('Unknown')
    }
  })

  it.each([
    [90, 'NotStarted', true, 'the device has rebooted since it was looked at'],
    [91, 'IdentityChanged', false, 'the device shows another board than before'],
    [92, 'NotStarted', true, 'the device runs another release than when it was looked at'],
    [93, 'NotStarted', true, 'the start arrived too late'],
    [94, 'NotStarted', true, 'another start holds the lock on the device'],
    [95, 'UploadFailed', true, 'the image on the device is not the one that was uploaded'],
    [96, 'NotStarted', true, 'an upgrade runs on the device already'],
    [98, 'NotStarted', true, 'sysupgrade could not be started'],
  ])('%i is a refusal of class %s', (code, failureClass, recoverable, message) => {
    expect(parseGuard(`GUARD ${code}\n`)).toEqual({
      kind: 'Refused',
      failureClass,
      recoverable,
      message,
      log: [],
    })
  })

  it('that nobody can read says nothing of a start', () => {
    const silent = { kind: 'Unknown', message: 'the device did not say whether it started' }
    expect(parseGuard('')).toEqual(silent)
    expect(parseGuard('  GUARD 0 \t\n')).toEqual({ kind: 'Started' })
    for (const code of [42, 126])
      expect(parseGuard(`GUARD ${code}`)).toEqual({
        kind: 'Unknown',
        message: `the device answered with the unknown code ${code}`,
      })
    expect(parseGuard('GUARD 1260')).toEqual(silent)
  })

  it('tells by the text why the test refused, and keeps it printable', () => {
    const output = 'Device x not supported by this image\n\u001b[31mImage check failed.\nGUARD 97\n'
    expect(parseGuard(output)).toEqual({
      kind: 'Refused',
      failureClass: 'Rejected',
      recoverable: false,
      message: 'sysupgrade refuses the image: Device x not supported by this image',
      log: ['Device x not supported by this image', String.raw`\x1b[31mImage check failed.`],
    })
  })

  it('keeps at most 40 lines', () => {
    const result = parseGuard(`${'line\n'.repeat(500)}GUARD 97\n`)
    expect(result).toMatchObject({ kind: 'Refused' })
    expect(result.kind === 'Refused' && result.log.length).toBe(40)
  })
})
