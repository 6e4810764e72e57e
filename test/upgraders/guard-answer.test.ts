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
    [90, 'NotStarted', true],
    [91, 'IdentityChanged', false],
    [92, 'NotStarted', true],
    [93, 'NotStarted', true],
    [94, 'NotStarted', true],
    [95, 'UploadFailed', true],
    [96, 'NotStarted', true],
    [98, 'NotStarted', true],
  ])('%i is a refusal of class %s', (code, failureClass, recoverable) => {
    expect(parseGuard(`GUARD ${code}\n`)).toMatchObject({
      kind: 'Refused',
      failureClass,
      recoverable,
      log: [],
    })
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
