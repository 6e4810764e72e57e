import { describe, expect, it } from 'vitest'
import type { UpgradeOptions } from '../../src/api/resources.ts'
import type { ReflashError } from '../../src/core/errors.ts'
import type { Probe } from '../../src/core/probe.ts'
import { checkJob, optionArguments } from '../../src/upgraders/openwrt/checks.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { jobOf } from '../support/router-session.ts'

const board = 'tplink,archer-c7-v5'

const probe = (version: string, more: Partial<Probe> = {}): Probe => ({
  osIdentifier: `OpenWrt ${version}`,
  release: { distribution: 'OpenWrt', version },
  board,
  bootId: '3c0cf8d1-6d3a-4f3e-9a51-0d4f8a2f6b11',
  uptimeSeconds: 100,
  identity: '60:e3:27:aa:bb:01',
  upgrading: false,
  ...more,
})

const image = Buffer.from('image')
const job = (options: UpgradeOptions = {}, compatVersion?: string) => {
  const base = jobOf(image, { options })
  return compatVersion === undefined
    ? base
    : { ...base, image: { ...base.image, metadata: { boards: [board], compatVersion } } }
}

const refusalOf = (action: () => void): ReflashError | undefined => {
  try {
    action()
  } catch (error) {
    return error as ReflashError
  }
  return undefined
}
const codeOf = (action: () => void): string => refusalOf(action)?.code ?? 'accepted'

describe('checks before a byte is sent', () => {
  it('accept the right board and refuse every other', () => {
    expect(codeOf(() => checkJob(job(), probe('23.05.5')))).toBe('accepted')
    expect(codeOf(() => checkJob(job(), probe('23.05.5', { board: 'tplink,archer-c7-v4' })))).toBe('Rejected')
    expect(codeOf(() => checkJob(job(), probe('23.05.5', { board: 'archer-c7-v5' })))).toBe('Rejected')
  })

  it('wait while an upgrade runs', () => {
    expect(codeOf(() => checkJob(job(), probe('23.05.5', { upgrading: true })))).toBe('Busy')
  })

  it.each([
    // image, device, release, ignoreMinor, verdict
    ['1.0', undefined, '19.07.10', false, 'accepted'],
    ['1.0', '1.0', '23.05.5', false, 'accepted'],
    ['1.1', '1.1', '23.05.5', false, 'accepted'],
    ['1.1', '1.0', '23.05.5', false, 'Rejected'],
    ['1.1', undefined, '23.05.5', false, 'Rejected'],
    ['1.1', '1.0', '23.05.5', true, 'accepted'],
    ['2.0', '1.0', '23.05.5', false, 'Rejected'],
    ['2.0', '1.0', '23.05.5', true, 'Rejected'],
    ['1.0', '2.0', '23.05.5', true, 'Rejected'],
    // 21.02 knows compat versions, but not the option.
    ['1.1', '1.0', '21.02.7', true, 'Unsupported'],
  ])(
    'compat version %s on a device with %s, release %s, ignoring minor: %s -> %s',
    (...[of, on, version, ignore, verdict]) => {
      const options = ignore ? { ignoreMinorCompatVersion: true } : {}
      const device = probe(version, on === undefined ? {} : { compatVersion: on })
      expect(codeOf(() => checkJob(job(options, of), device))).toBe(verdict)
    },
  )

  it.each([
    ['keepChangedFiles', '-c', '14.07', undefined],
    ['keepOverlay', '-o', '19.07.10', '18.06.9'],
    ['skipUnchangedFiles', '-u', '19.07.10', '18.06.9'],
    ['keepPackageList', '-k', '19.07.10', '18.06.9'],
    ['keepPartitionTable', '-p', '17.01.7', '15.05.1'],
    ['ignoreMinorCompatVersion', '--ignore-minor-compat-version', '22.03.7', '21.02.7'],
  ] as const)('option %s is %s, known since %s', (field, flag, since, before) => {
    const options = { [field]: true }
    expect(optionArguments(options)).toEqual([flag])
    expect(codeOf(() => checkJob(job(options), probe(since)))).toBe('accepted')
    expect(codeOf(() => checkJob(job(options), probe('SNAPSHOT')))).toBe('accepted')
    if (before !== undefined) expect(codeOf(() => checkJob(job(options), probe(before)))).toBe('Unsupported')
  })

  it('say why', () => {
    const why = (of: Parameters<typeof checkJob>[0], on: Probe) => refusalOf(() => checkJob(of, on))?.message
    const twoBoards = { ...job(), image: { ...job().image, boards: ['a', 'b'] } }
    expect(why(job(), probe('23.05.5', { upgrading: true }))).toBe('an upgrade runs on the device already')
    expect(why(twoBoards, probe('23.05.5'))).toBe(`the image is for a, b; the device is ${board}`)
    expect(why(job({ keepOverlay: true }), probe('18.06.9'))).toBe(
      'option keepOverlay needs OpenWrt 19.07; the device runs 18.06.9',
    )
    expect(why(job({}, '2.0'), probe('23.05.5', { compatVersion: '1.0' }))).toBe(
      'the image has compat version 2.0, the device 1.0: it cannot be upgraded in place',
    )
    expect(why(job({}, '1.1'), probe('23.05.5', { compatVersion: '1.0' }))).toBe(
      'the image has compat version 1.1, the configuration on the device 1.0; set options.ignoreMinorCompatVersion if it still fits',
    )
  })

  it('take the first release that knows an option', () => {
    expect(codeOf(() => checkJob(job({ keepOverlay: true }), probe('19.07.0')))).toBe('accepted')
    const nameless = probe('x', { release: {} })
    expect(codeOf(() => checkJob(job({ keepOverlay: true }), nameless))).toBe('accepted')
  })

  it('passes nothing but options of the closed list', () => {
    const all = { keepConfig: true, freeMemory: true, keepOverlay: true, keepPackageList: false } as const
    expect(optionArguments({ ...all, ...({ evil: '; reboot' } as object) })).toEqual(['-o'])
    expect(openwrtUpgrader.command(job({ keepOverlay: true, keepPartitionTable: true }))).toBe(
      'sysupgrade -o -p /tmp/reflash.bin',
    )
  })
})
