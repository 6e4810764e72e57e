import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { servableKey } from '../../src/simulator/host-key.ts'
import { badCredentials, canary, overhear, placesOf, readApi, standOf } from '../support/canary.ts'
import { recordFigure } from '../support/figures.ts'
import { reflash } from '../support/cli.ts'
import { makeServedFleet, secretText } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

/** What the simulated routers accept. */
const routerPassword = 'correct-horse'

/** Files that say a Secret and are no good: nothing of them may be quoted. */
const brokenFiles: readonly string[] = [
  `apiVersion: v1\nkind: Secret\nstringData: {password: ${canary}}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: "${canary}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData: {password: @${canary}}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData: {password: *${canary}}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: d}\nstringData: {password: !${canary} x}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: e}\nstringData: {${canary}: x, ${canary}: y}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: f}\nstringData: {password: [${canary}]}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: g}\ndata: {password: "${canary}"}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: h}\n${canary}: x\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: i}\nstringData:\n\tpassword: ${canary}\n`,
  `apiVersion: v1\nkind: Secret\nmetadata: {name: j}\nstringData: {password: "\\y${canary}"}\n`,
  `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "k"}, "stringData": {"password": ${canary}`,
]

test('what is in a Secret appears nowhere', { timeout: 60_000 }, async () => {
  const names = Object.keys(badCredentials)
  // One upgrade that works with the right password, and every way in which credentials can be wrong.
  const fleet = await makeServedFleet({ count: names.length + 2 })
  for (const [index, name] of names.entries()) {
    await fleet.write(`secret-${name}.yaml`, secretText(name, badCredentials[name]!))
    await fleet.writeDevice(index + 1, { credentialsRef: { name } })
  }
  const hostKeys = fleet.routers[0]!.state.hostKeys.map((key) => servableKey(key).line)
  const jumpHost = {
    address: '127.0.0.1',
    port: fleet.addresses[0]!.port,
    credentialsRef: { name: 'wrong' },
    hostKeys,
  }
  await fleet.writeDevice(names.length + 1, { jumpHost })
  for (const [index, text] of brokenFiles.entries()) await fleet.write(`broken-${index}.yaml`, text)

  const child = overhear(['run', ...fleet.flags], fleet.folder)
  try {
    let stand: Awaited<ReturnType<typeof standOf>> | undefined
    await until(
      'an upgrade, and devices that nobody can log in to',
      async () => {
        stand = await standOf(child)
        return stand.succeeded === 1 && Object.keys(stand.refused).length === names.length + 1
      },
      30_000,
    ).catch((error: unknown) => {
      throw new Error(JSON.stringify(stand), { cause: error })
    })
    const said = await readApi(
      child,
      fleet.routers.map(({ name }) => name),
    )
    const formats = ['text', 'junit', 'sarif']
    const validated = await Promise.all(
      formats.map((format) => reflash(['validate', fleet.directory, '--output', format])),
    )
    const planned = await fleet.plan('--probe')
    const shown = await child.shown()
    await child.stop()
    const state = ['', '-wal', '-shm']
      .map((ending) => `${fleet.state}${ending}`)
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, 'latin1'))
    for (const { code, stdout } of validated) {
      expect(code).toBe(1)
      expect(stdout).toContain('broken-0.yaml')
    }
    expect(said.join('')).toContain('AuthFailed')
    expect(child.lines.join('\n')).toContain('broken-11.yaml')
    const commands = [...validated, planned].flatMap(({ stdout, stderr }) => [stdout, stderr])
    const everything = { said, shown, state, commands, lines: child.lines }
    // The right password is no less secret than the wrong one.
    expect(placesOf(everything, routerPassword)).toEqual([])
    recordFigure({
      suite: 'hostile',
      name: 'Secrets of a directory that were wrong, of which nothing was seen',
      value: names.length + 1 + brokenFiles.length,
    })
  } finally {
    child.kill()
  }
})

test('a secret that is written down somewhere is found, however it is written', () => {
  for (const before of ['', 'a', 'ab', 'abc']) {
    const text = `${before}${canary}!`
    const written = [
      text,
      encodeURIComponent(text),
      ...(['hex', 'base64'] as const).map((form) => Buffer.from(text).toString(form)),
    ]
    expect(written.flatMap((each) => placesOf({ place: [each] }).slice(0, 1))).toHaveLength(4)
  }
})
