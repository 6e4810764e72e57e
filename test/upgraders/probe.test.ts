import { describe, expect, it } from 'vitest'
import { ReflashError } from '../../src/core/errors.ts'
import { parseProbe } from '../../src/upgraders/openwrt/probe.ts'

const bootId = '3c0cf8d1-6d3a-4f3e-9a51-0d4f8a2f6b11'

const transcript = {
  release: `DISTRIB_ID='OpenWrt'
DISTRIB_RELEASE='23.05.5'
DISTRIB_REVISION='r24106-10cc5fcd00'
DISTRIB_TARGET='ath79/generic'
DISTRIB_ARCH='mips_24kc'
DISTRIB_DESCRIPTION='OpenWrt 23.05.5 r24106-10cc5fcd00'
DISTRIB_TAINTS=''
`,
  board: 'tplink,archer-c7-v5',
  model: 'TP-Link Archer C7 v5',
  boot_id: bootId,
  uptime: '351.77 1402.33',
  meminfo: 'MemFree:           71204 kB\nMemAvailable:      65536 kB\nBuffers:  100 kB\nCached:   9000 kB',
  tmp: 'Filesystem           1K-blocks      Used Available Use% Mounted on\ntmpfs                    61044       104     60940   0% /tmp',
  compat: '1.0',
  macs: '60:e3:27:aa:bb:02\n60:e3:27:aa:bb:01\n60:e3:27:aa:bb:01\n00:00:00:00:00:00',
  serial: '',
  marker: '',
  leftovers: '',
  upgrading: '',
}

const answerOf = (changes: Partial<Record<keyof typeof transcript, string | undefined>> = {}): string => {
  const frames = Object.entries({ ...transcript, ...changes }).filter(([, text]) => text !== undefined)
  return [...frames.map(([name, text]) => `@${name}\n${text}`), '@end', ''].join('\n')
}

const refusalOf = (output: string): string => {
  try {
    parseProbe(output)
  } catch (error) {
    expect(error).toBeInstanceOf(ReflashError)
    expect((error as ReflashError).code).toBe('ProbeInvalid')
    return (error as ReflashError).message
  }
  throw new Error('it was accepted')
}

describe('a probe', () => {
  it('reads everything of a current release', () => {
    expect(parseProbe(answerOf())).toEqual({
      osIdentifier: 'OpenWrt 23.05.5 r24106-10cc5fcd00',
      release: {
        distribution: 'OpenWrt',
        version: '23.05.5',
        revision: 'r24106-10cc5fcd00',
        target: 'ath79/generic',
      },
      board: 'tplink,archer-c7-v5',
      model: 'TP-Link Archer C7 v5',
      bootId,
      uptimeSeconds: 351,
      compatVersion: '1.0',
      identity: '60:e3:27:aa:bb:01,60:e3:27:aa:bb:02',
      memoryAvailableBytes: 65_536 * 1024,
      tmpAvailableBytes: 60_940 * 1024,
      upgrading: false,
      leftovers: false,
    })
  })

  it.each([
    ['12.09', 'OpenWrt', 'r36088', 'OpenWrt Attitude Adjustment 12.09', '"'],
    ['14.07', 'OpenWrt', 'r42625', 'OpenWrt Barrier Breaker 14.07', '"'],
    ['15.05.1', 'OpenWrt', 'r48532', 'OpenWrt Chaos Calmer 15.05.1', "'"],
    ['17.01.7', 'LEDE', 'r4030-6028f00df0', 'LEDE Reboot 17.01.7 r4030-6028f00df0', "'"],
    ['18.06.9', 'OpenWrt', 'r8077-7cbbab7246', 'OpenWrt 18.06.9 r8077-7cbbab7246', "'"],
    ['19.07.10', 'OpenWrt', 'r11427-9ce6aa9d8d', 'OpenWrt 19.07.10 r11427-9ce6aa9d8d', "'"],
    ['25.12.5', 'OpenWrt', 'r33051-f5dae5ece4', 'OpenWrt 25.12.5 r33051-f5dae5ece4', "'"],
    ['SNAPSHOT', 'OpenWrt', 'r35906-3d1645ee26', 'OpenWrt SNAPSHOT r35906-3d1645ee26', "'"],
  ])('reads the release file of %s', (...[version, distribution, revision, description, quote]) => {
    const fields = { ID: distribution, RELEASE: version, REVISION: revision, DESCRIPTION: description }
    const release = Object.entries(fields).map(([name, value]) => `DISTRIB_${name}=${quote}${value}${quote}`)
    const probe = parseProbe(answerOf({ release: release.join('\n') }))
    expect(probe.osIdentifier).toBe(description)
    expect(probe.release).toEqual({ distribution, version, revision })
  })

  it('does without what old and bare devices lack', () => {
    const probe = parseProbe(
      answerOf({
        model: '',
        compat: '',
        tmp: '',
        meminfo: 'MemFree: 1000 kB\nBuffers: 20 kB\nCached: 300 kB',
      }),
    )
    expect(probe).not.toHaveProperty('model')
    expect(probe).not.toHaveProperty('compatVersion')
    expect(probe).not.toHaveProperty('tmpAvailableBytes')
    // Kernels before 3.14 do not say what is available.
    expect(probe.memoryAvailableBytes).toBe(1320 * 1024)
  })

  it('reads a df line that a long device name has broken in two', () => {
    const tmp =
      'Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/a-very-long-device-name\n 61044 104 60940 0% /tmp'
    expect(parseProbe(answerOf({ tmp })).tmpAvailableBytes).toBe(60_940 * 1024)
  })

  it('prefers MAC addresses that were given to the hardware', () => {
    expect(parseProbe(answerOf({ macs: '02:11:22:33:44:55\n60:E3:27:AA:BB:01' })).identity).toBe(
      '60:e3:27:aa:bb:01',
    )
    expect(parseProbe(answerOf({ macs: '02:11:22:33:44:55' })).identity).toBe('02:11:22:33:44:55')
    expect(parseProbe(answerOf({ macs: '', serial: 'ab 12' })).identity).toBe('serial=ab12')
  })

  it('reads a marker of the longest name that an operation may have', () => {
    const lastFlash = { operation: `${'a'.repeat(251)}-1`, sha256: 'a'.repeat(64), bootId }
    const marker = Object.values(lastFlash).join(' ')
    expect(parseProbe(answerOf({ marker }))).toMatchObject({ lastFlash })
    expect(parseProbe(answerOf({ marker: `aa${marker}` }))).not.toHaveProperty('lastFlash')
  })

  it('reads the marker, what is left over, and whether an upgrade runs', () => {
    const sha256 = 'a'.repeat(64)
    const probe = parseProbe(
      answerOf({
        marker: `ap-17-1 ${sha256} ${bootId}`,
        leftovers: '/tmp/reflash.stopped',
        upgrading: 'yes',
      }),
    )
    expect(probe).toMatchObject({
      upgrading: true,
      leftovers: true,
      lastFlash: { operation: 'ap-17-1', sha256, bootId },
    })
    expect(parseProbe(answerOf({ marker: `ap-17-1 ${sha256}; reboot ${bootId}` }))).not.toHaveProperty(
      'lastFlash',
    )
  })

  it.each([
    ['boot_id', 'boot id'],
    ['board', 'board_name'],
    ['release', 'DISTRIB_DESCRIPTION'],
    ['uptime', 'uptime'],
    ['macs', 'MAC address'],
  ] as const)('names %s when it is missing', (name, said) => {
    expect(refusalOf(answerOf({ [name]: '' }))).toContain(said)
    expect(refusalOf(answerOf({ [name]: undefined }))).toContain(said)
  })

  it('refuses a boot id that is none', () => {
    expect(refusalOf(answerOf({ boot_id: `${bootId} x` }))).toContain('boot id')
  })
})

describe('a hostile or broken answer', () => {
  it('is recognised when it was cut off, wherever that was', () => {
    const whole = answerOf()
    for (let length = 0; length < whole.length - '@end\n'.length; length += 7) {
      expect(refusalOf(whole.slice(0, length))).toContain('cut off')
    }
  })

  it('may not say anything twice', () => {
    expect(refusalOf(answerOf({ model: 'x\n@board\nother,board' }))).toContain('"@board" twice')
    expect(refusalOf(answerOf() + answerOf())).toContain('twice')
  })

  it('leaves only printable ASCII, and little of it', () => {
    const nasty = `\u001b]0;owned\u0007\u001b[2J\u00e9${'A'.repeat(5000)}`
    const release = transcript.release.replace('OpenWrt 23.05.5 r24106-10cc5fcd00', nasty.slice(0, 400))
    const text = JSON.stringify(
      parseProbe(answerOf({ model: nasty, board: nasty, release, serial: nasty, compat: nasty })),
    )
    expect(text).toMatch(/^[\x20-\x7e]*$/)
    expect(text).toContain(String.raw`\\x1b`)
    expect(text.length).toBeLessThan(3000)
  })

  it('of megabytes is refused, not read', () => {
    expect(refusalOf(answerOf({ macs: '60:e3:27:aa:bb:01\n'.repeat(100_000) }))).toContain('lines')
  })
})
