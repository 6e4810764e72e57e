import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { runDirectory } from '../../src/app.ts'
import { defaults, readConfig } from '../../src/config.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import { startRadioBridge, type RadioBridge } from '../support/radio-bridge.ts'

const example = fileURLToPath(new URL('../../examples/custom-upgrader/', import.meta.url))
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

/** The example's manifests with the address of a bridge that exists. */
function fleetOf(bridge: RadioBridge): string {
  const folder = mkdtempSync(join(tmpdir(), 'reflash-example-'))
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(example, 'fleet'), join(folder, 'fleet'), { recursive: true })
  const file = join(folder, 'fleet/fleet.yaml')
  const text = readFileSync(file, 'utf8')
  const here = text.replace('192.0.2.40', '127.0.0.1').replace('port: 22,', `port: ${bridge.port},`)
  expect(here).not.toBe(text)
  writeFileSync(file, here)
  return folder
}

async function runOnce(folder: string) {
  const events: FleetEvent[] = []
  const config = readConfig(
    join(folder, 'fleet'),
    {
      ...defaults,
      state: join(folder, 'state.db'),
      cache: join(folder, 'cache'),
      upgrader: [join(example, 'mine.js')],
    },
    {},
  )
  const ending = await runDirectory(config, {
    once: true,
    version: '0.0.0',
    events: { emit: (event) => void events.push(event) },
    signal: AbortSignal.timeout(50_000),
  })
  const phases = events.flatMap((event) => (event.type === 'Phase' ? event.phase : []))
  return { ending, events, phases: phases.filter((phase, index) => phase !== phases[index - 1]) }
}

describe('an upgrader of ones own', () => {
  test('takes a device that is no OpenWrt to its target, and leaves it there', async () => {
    const bridge = await startRadioBridge({ version: '2.0', rebootMs: 300 })
    cleanUps.push(() => bridge.close())
    const folder = fleetOf(bridge)
    const first = await runOnce(folder)
    expect(first.events.filter(({ type }) => type === 'Bug')).toEqual([])
    expect(first.ending).toEqual({ kind: 'Converged' })
    expect(bridge.flashes).toEqual(['2.1'])
    expect(bridge.version()).toBe('2.1')
    expect(first.phases.slice(0, 6)).toEqual([
      'Connecting',
      'Checking',
      'Uploading',
      'Testing',
      'Flashing',
      'Rebooting',
    ])
    expect(first.phases.at(-1)).toBe('Succeeded')

    const second = await runOnce(folder)
    expect(second.ending).toEqual({ kind: 'Converged' })
    expect(bridge.flashes).toEqual(['2.1'])
  })

  test('refuses an image that the device refuses, in words of the device', async () => {
    const bridge = await startRadioBridge({ version: '2.0', rebootMs: 300 })
    cleanUps.push(() => bridge.close())
    const folder = fleetOf(bridge)
    writeFileSync(join(folder, 'fleet/images/rb-5-2.1.img'), 'a picture of a cat')
    const { ending, events } = await runOnce(folder)
    const said = events.flatMap((event) => (event.type === 'Phase' ? event.message : []))
    expect(said).toContain('fw-apply refuses the image: not an image for this device')
    expect(ending.kind).toBe('Stuck')
    expect(bridge.flashes).toEqual([])
  })
})
