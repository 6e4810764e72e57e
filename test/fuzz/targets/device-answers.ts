import { equal, match, notEqual, ok } from 'node:assert/strict'
import { createManualClock } from '../../../src/adapters/clock/manual-clock.ts'
import { createRandom } from '../../../src/adapters/clock/random.ts'
import type { Device } from '../../../src/api/resources.ts'
import { withProbe } from '../../../src/core/device-facts.ts'
import { hasCode } from '../../../src/core/errors.ts'
import { createMachine } from '../../../src/simulator/machine.ts'
import { probeOutput } from '../../../src/simulator/probe-output.ts'
import { knownReleases } from '../../../src/simulator/release.ts'
import { parseGuard } from '../../../src/upgraders/openwrt/guard.ts'
import { parseProbe } from '../../../src/upgraders/openwrt/probe.ts'
import { textsIn } from '../../support/texts-in.ts'
import { statusProblems } from '../../support/status-schema.ts'
import { wayOf, type FuzzTarget } from '../fuzzer.ts'

const printable = /^[\x20-\x7e]{1,1024}$/

const known = new Set([
  'osIdentifier',
  'release',
  'board',
  'model',
  'bootId',
  'uptimeSeconds',
  'compatVersion',
  'identity',
  'memoryAvailableBytes',
  'tmpAvailableBytes',
  'upgrading',
  'leftovers',
  'lastFlash',
])

function runProbe(input: Buffer): string {
  // A channel gives Latin-1, so that no byte is lost.
  const output = input.toString('latin1')
  try {
    const probe = parseProbe(output)
    for (const text of textsIn(probe)) match(text, printable)
    for (const field of Object.keys(probe)) ok(known.has(field))
    for (const field of ['osIdentifier', 'board', 'identity'] as const) notEqual(probe[field], '')
    match(probe.bootId, /^[-0-9a-f]{36}$/)
    for (const number of [
      probe.uptimeSeconds,
      probe.memoryAvailableBytes ?? 0,
      probe.tmpAvailableBytes ?? 0,
    ]) {
      ok(Number.isSafeInteger(number) && number >= 0)
    }
    const status = withProbe(device, probe, { hostKeys: [], now: 0, nextProbeMs: 0 })
    equal(statusProblems('Device', status), '')
    return `${Object.keys(probe).length} facts, ${Object.keys(probe.release).length} of the release`
  } catch (error) {
    if (!hasCode(error, 'ProbeInvalid')) throw error
    match(error.message, printable)
    return `refused: ${wayOf(error.message)}`
  }
}

const device = {
  metadata: { generation: 1 },
  spec: {},
  status: {},
} as unknown as Device

const releaseNames = Object.keys(knownReleases) as (keyof typeof knownReleases)[]

/** What a router of each release answers to a probe. */
export const goldenProbes: readonly Buffer[] = releaseNames.map((name) => {
  const machine = createMachine({
    name,
    clock: createManualClock(),
    random: createRandom(name),
    release: knownReleases[name],
  })
  return Buffer.from(probeOutput(machine), 'latin1')
})

const marked = Buffer.from(
  goldenProbes
    .at(-1)!
    .toString('latin1')
    .replace(
      '@marker\n',
      `@marker\nap-1-0123abcd-1 ${'ab'.repeat(32)} 3c0cf8d1-6d3a-4f3e-9a51-0d4f8a2f6b11\n`,
    )
    .replace('@upgrading\n', '@upgrading\nyes\n')
    .replace('@serial\n', '@serial\nSN-1\n'),
  'latin1',
)

/** The answer to the probe script. */
export const probeTarget: FuzzTarget = {
  name: 'probe',
  seeds: [...goldenProbes, marked],
  words: [
    '@release\n',
    '@board\n',
    '@boot_id\n',
    '@uptime\n',
    '@meminfo\n',
    '@tmp\n',
    '@macs\n',
    '@marker\n',
    '@end\n',
    '@__proto__\n',
    "DISTRIB_ID='",
    'DISTRIB_DESCRIPTION="',
    '\n',
    '\r\n',
    '\0',
    '\x1b[2J',
    '\x9b31m',
    '\xff',
    "'",
    '"',
    '00:00:00:00:00:00\n',
    '02:aa:bb:cc:dd:ee\n',
    'MemAvailable:  999999999999 kB\n',
    '100% /tmp\n',
    '$(reboot)',
    '`reboot`',
    'a'.repeat(300),
    'b'.repeat(1100),
    '\n'.repeat(2100),
  ],
  maxBytes: 64 * 1024,
  run: runProbe,
}

/** Codes after which the flash may have begun: only these lead to waiting and looking. */
const mayHaveStarted = (output: string): boolean => {
  const last = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .at(-1)
  return !/^GUARD (?:9[0-8])$/.test(last ?? '')
}

function runGuard(input: Buffer): string {
  const output = input.toString('latin1')
  const result = parseGuard(output)
  for (const text of textsIn(result)) match(text, /^[\x20-\x7e]{1,1100}$/)
  // A refusal that is not one would let a second start follow the first.
  if (mayHaveStarted(output)) notEqual(result.kind, 'Refused')
  if (result.kind !== 'Refused') return result.kind
  ok(result.log.length <= 40)
  return `${result.failureClass} ${result.recoverable} ${wayOf(result.message.replace(/:.*/s, ''))}`
}

/** The answer to the script that starts a flash. */
export const guardTarget: FuzzTarget = {
  name: 'guard',
  seeds: [
    'GUARD 0\n',
    ...[90, 91, 92, 93, 94, 95, 96, 98].map((code) => `GUARD ${code}\n`),
    'Device a not supported by this image\nSupported devices: b\nImage check failed.\nGUARD 97\n',
    'Thu Jan  1 00:00:00 1970 upgrade: Image metadata not present\nGUARD 97\n',
  ].map((text) => Buffer.from(text)),
  words: [
    'GUARD 0\n',
    'GUARD 97\n',
    'GUARD 99\n',
    'GUARD 000\n',
    'GUARD',
    '\n',
    ' ',
    '\r',
    '\0',
    '\x1b[31m',
    '\xa0',
    'No space left on device',
    'Invalid option: -T',
    'Killed',
    'x'.repeat(1100),
    'y\n'.repeat(60),
  ],
  maxBytes: 16 * 1024,
  run: runGuard,
}
