import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ended, reflash, startReflash, type CliResult } from '../support/cli.ts'
import { exampleFleet } from '../support/example-fleet.ts'
import { connectRaw } from '../support/raw-http.ts'
import { readLog } from '../support/served-fleet.ts'
import { makeTree } from '../support/tree.ts'
import { until } from '../support/until.ts'

interface Run {
  url: string
  warnings(): string[]
  /** SIGTERM, and how it ended. */
  stop(): Promise<CliResult & { seconds: number }>
}

async function startRun(...flags: string[]): Promise<Run> {
  const root = await makeTree({ 'fleet/fleet.yaml': exampleFleet })
  const child = startReflash(['run', join(root, 'fleet'), '--state', join(root, 'state.db'), ...flags])
  const end = ended(child)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await end
  })
  let stderr = ''
  child.stderr!.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  const log = () => readLog(stderr.slice(0, stderr.lastIndexOf('\n') + 1)).events
  const listening = await until('it listens', () => {
    if (child.exitCode !== null) throw new Error(stderr)
    return log().find((event) => event['reason'] === 'Listening')
  })
  return {
    url: String(listening['msg']),
    warnings: () => log().flatMap((event) => (event['level'] === 'warn' ? [String(event['reason'])] : [])),
    stop: async () => {
      const startedMs = performance.now()
      child.kill('SIGTERM')
      return { ...(await end), seconds: (performance.now() - startedMs) / 1000 }
    },
  }
}

const devices = '/apis/reflash.dev/v1alpha1/devices'

describe('the API of a run', { timeout: 60_000 }, () => {
  test('answers health at once, then shows what there is, and ends with the run and its watches', async () => {
    const run = await startRun('--listen', '127.0.0.1:0')
    expect(await (await fetch(`${run.url}/livez`)).text()).toBe('ok')
    await until('it is ready', async () => (await fetch(`${run.url}/readyz`)).ok)
    const list = (await (await fetch(run.url + devices)).json()) as { kind: string; items: unknown[] }
    expect(list.kind).toBe('DeviceList')
    expect(list.items.length).toBeGreaterThan(0)

    const watch = connectRaw(run.url)
    watch.write(`GET ${devices}?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await until('the watch shows what is there', () => watch.received().includes('"ADDED"'))
    const { code, seconds } = await run.stop()
    expect(code).toBe(0)
    expect(seconds).toBeLessThan(5)
    expect(await watch.closed).toMatch(/0\r\n\r\n$/)
  })

  test('is for those with a token where others can connect, and warns that they can be overheard', async () => {
    const folder = await makeTree()
    const file = join(folder, 'tokens.yaml')
    const issued = await reflash(['token', '--id', 'laptop', '--file', file])
    expect(issued.code).toBe(0)
    const token = issued.stdout.trim()
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readFile(file, 'utf8')).not.toContain(token)
    const run = await startRun('--listen', '0.0.0.0:0', '--token-file', file)
    const url = run.url.replace('0.0.0.0', '127.0.0.1')
    await until('it is ready', async () => (await fetch(`${url}/readyz`)).ok)
    expect((await fetch(url + devices)).status).toBe(401)
    const asked = await fetch(url + devices, { headers: { authorization: `Bearer ${token}` } })
    expect(asked.status).toBe(200)
    expect(await asked.text()).not.toContain('"addresses"')
    expect(run.warnings()).toContain('NotEncrypted')
    const { stderr, code } = await run.stop()
    expect(code).toBe(0)
    expect(stderr).not.toContain(token)
  })

  test('says which address is taken', async () => {
    const run = await startRun('--listen', '127.0.0.1:0')
    const address = new URL(run.url).host
    const root = await makeTree({ 'fleet/fleet.yaml': exampleFleet })
    const second = await reflash([
      'run',
      join(root, 'fleet'),
      '--state',
      join(root, 'state.db'),
      '--listen',
      address,
    ])
    expect({ code: second.code, words: readLog(second.stderr).words }).toEqual({
      code: 2,
      words: [
        `error: Invalid: ${address} is in use by another process; give another address with --listen, or none`,
      ],
    })
  })

  test.each([
    [
      ['--listen', '0.0.0.0:8080'],
      '--listen 0.0.0.0:8080 can be reached by others: give --token-file with who may read, or listen on 127.0.0.1',
    ],
    [
      ['--listen', 'here'],
      '--listen must be an address and a port such as 127.0.0.1:8080, or none, found "here"',
    ],
    [['--tls-cert', 'x.pem'], '--tls-cert and --tls-key are given together or not at all'],
    [['--max-watches', '0'], '--max-watches must be a whole number from 1 on, found "0"'],
  ])('%j is refused', async (flags, problem) => {
    const root = await makeTree({ 'fleet.yaml': exampleFleet })
    const { code, stderr } = await reflash(['run', root, '--state', join(root, 's.db'), ...flags])
    expect({ code, stderr }).toEqual({ code: 2, stderr: `error: ${problem}\n` })
  })

  test('is off with --once and with none, and on otherwise', async () => {
    const root = await makeTree({ 'fleet.yaml': exampleFleet })
    const listenOf = async (flags: string[], env: Record<string, string>): Promise<unknown> => {
      const { stdout } = await reflash(['run', root, '--print-config', ...flags], env)
      return (JSON.parse(stdout) as { api?: { listen: unknown } }).api?.listen
    }
    const [local, other] = [
      { host: '127.0.0.1', port: 8080 },
      { host: '127.0.0.1', port: 9 },
    ]
    expect(await listenOf(['--listen', 'none'], {})).toBeUndefined()
    expect(await listenOf([], { REFLASH_LISTEN: 'none' })).toBeUndefined()
    expect(await listenOf([], { REFLASH_LISTEN: '' })).toEqual(local)
    expect(await listenOf(['--once'], { REFLASH_LISTEN: '' })).toBeUndefined()
    expect(await listenOf(['--once', '--listen', '127.0.0.1:9'], {})).toEqual(other)
    expect(await listenOf([], { REFLASH_LISTEN: '127.0.0.1:9' })).toEqual(other)
  })
})

describe('reflash token', () => {
  test('prints the token and its entry', async () => {
    const { code, stdout } = await reflash([
      'token',
      '--id',
      'a',
      '--scope',
      'read',
      '--scope',
      'images',
      '--namespace',
      'x',
    ])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^rfl_a_[\w-]{43}\n- id: a\n {2}sha256: "?[0-9a-f]{64}"?\n {2}scopes:\n {4}- read\n {4}- images\n {2}namespaces:\n {4}- x\n {2}expiresAt: \d{4}-/,
    )
  })

  test.each([
    [['--scope', 'write'], 'scopes must be a list of read, inventory:sensitive, metrics, images'],
    [['--expires', '91d'], 'expiresAt must be within 90 days'],
    [['--expires', 'soon'], '"soon" is no duration'],
    [['--id', 'My Laptop'], 'id must be 1 to 32 of a-z, 0-9 and -'],
    [['--namespace', 'a/b'], 'namespaces must be'],
  ])('%j is refused', async (flags, words) => {
    const { code, stdout, stderr } = await reflash(['token', ...flags])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })
})
