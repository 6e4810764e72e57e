import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { reflash } from '../support/cli.ts'
import { exampleFleetOf } from '../support/example-fleet.ts'
import { routerPrograms, startRouter, type NamespaceRouter } from '../support/namespace-router.ts'
import { requires } from '../support/requires.ts'

const old = knownReleases['23.05.5']
const target = knownReleases['24.10.8']
const board = 'tplink,archer-c7-v5'

requires(...routerPrograms)('routers that really reboot', () => {
  let folder: string
  let routers: NamespaceRouter[]
  let flags: string[]

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'reflash-e2e-'))
    routers = await Promise.all([
      startRouter({ release: old, board }),
      startRouter({ release: old, board }),
      startRouter({ release: old, board }),
    ])
    // One that answers nothing at all for a while, as real ones do.
    routers[0]!.misbehave({ downSeconds: 3 })
    mkdirSync(join(folder, 'fleet', 'images'), { recursive: true })
    writeFileSync(
      join(folder, 'fleet', 'images', 'archer-c7-v5-24.10.8.bin'),
      makeFirmware({ ...target, boards: [board] }),
    )
    writeFileSync(join(folder, 'fleet', 'fleet.yaml'), exampleFleetOf(routers))
    flags = [join(folder, 'fleet'), '--state', join(folder, 'state.db')]
  })
  afterAll(async () => {
    await Promise.all(routers.map((router) => router.stop()))
    rmSync(folder, { recursive: true, force: true })
  })

  const flashes = (): number[] => routers.map((router) => router.flashes().length)

  test('are planned, upgraded once each, and then left alone', { timeout: 180_000 }, async () => {
    const before = await reflash(['plan', ...flags, '-o', 'json'])
    expect(before.code, before.stderr).toBe(1)
    expect(JSON.parse(before.stdout).summary).toMatchObject({ devices: 3, upgrade: 3 })
    expect(flashes()).toEqual([0, 0, 0])

    const run = await reflash(['run', ...flags, '--once'])
    expect(run.code, run.stderr).toBe(0)
    expect(routers.map((router) => router.release().revision)).toEqual([
      target.revision,
      target.revision,
      target.revision,
    ])
    expect(flashes()).toEqual([1, 1, 1])

    const after = await reflash(['plan', ...flags, '-o', 'json'])
    expect(after.code, after.stderr).toBe(0)
    expect(JSON.parse(after.stdout).summary).toMatchObject({ devices: 3, upgrade: 0, none: 3 })

    const again = await reflash(['run', ...flags, '--once'])
    expect(again.code, again.stderr).toBe(0)
    expect(flashes()).toEqual([1, 1, 1])
  })

  test(
    'are not flashed again when the state is lost and one has fallen back',
    { timeout: 180_000 },
    async () => {
      const fallen = await startRouter({ release: old, board })
      try {
        fallen.misbehave({ rollBack: true })
        writeFileSync(join(folder, 'fleet', 'fleet.yaml'), exampleFleetOf([...routers, fallen]))
        const first = await reflash(['run', ...flags, '--once'])
        expect(first.code, first.stderr).toBe(1)
        expect(first.stderr).toContain('device ap-20: RolledBack')
        expect(fallen.starts()).toBe(1)
        const elsewhere = [join(folder, 'fleet'), '--state', join(folder, 'other.db'), '--once']
        const second = await reflash(['run', ...elsewhere])
        expect(second.code, second.stderr).toBe(1)
        expect(second.stderr).toContain('device ap-20: RolledBack')
        expect(fallen.starts()).toBe(1)
      } finally {
        await fallen.stop()
      }
    },
  )
})
