import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../src/adapters/clock/manual-clock.ts'
import { callCli, cliResult } from '../support/cli-call.ts'
import { startScriptedApi, type Reply } from '../support/scripted-api.ts'
import { makeTree } from '../support/tree.ts'
import { until } from '../support/until.ts'

const status = (code: number, message: string): Reply => ({
  status: code,
  body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code },
})
const emptyList: Reply = { body: { kind: 'DeviceList', metadata: { resourceVersion: '1' }, items: [] } }
const whatIsSaid = async (reply: Reply): Promise<{ code: number; stderr: string }> => {
  const { url } = await startScriptedApi(() => reply)
  const { code, stderr, stdout } = await cliResult(['get', 'device', 'ap-1', '-s', url, '-o', 'json'])
  expect(stdout).toBe('')
  return { code, stderr: stderr.replaceAll(url, 'URL') }
}

describe('what a server says', () => {
  test.each([
    [status(404, 'devices.reflash.dev "ap-1" not found'), 1, 'devices.reflash.dev "ap-1" not found'],
    [status(400, 'evil \u001b[31mred\u202e\n text'), 1, 'evil \\x1b[31mred\\u202e\\x0a text'],
    [status(401, 'no'), 2, 'URL wants a token it knows (401); give --token-file'],
    [status(403, 'not yours'), 2, 'not yours (403)'],
    [status(503, 'the state is still being read'), 1, 'the state is still being read'],
    [{ status: 404, body: '<html>no</html>' }, 1, 'URL answered 404; is it a Reflash?'],
    [{ status: 500, body: { detail: 'a problem' } }, 1, 'a problem'],
    [
      { status: 302, headers: { Location: 'http://elsewhere/' }, body: '' },
      1,
      'URL answered 302; is it a Reflash?',
    ],
    [{ body: '<html>' }, 2, 'URL answered something that is no JSON; is it a Reflash?'],
    [{ body: [] }, 2, 'the server answered an object that cannot be read; is it a Reflash?'],
  ] satisfies [Reply, number, string][])('is told in one sentence: %j', async (reply, code, stderr) => {
    expect(await whatIsSaid(reply)).toEqual({ code, stderr: `error: ${stderr}\n` })
  })

  test('as a warning is told once, and only by what prints objects', async () => {
    const headers = { Warning: '299 - "nothing starts: \\"a\\" exists"' }
    const object = { apiVersion: 'reflash.dev/v1alpha1', kind: 'Device', metadata: { name: 'ap-1' } }
    const api = await startScriptedApi(() => ({ headers, body: object }))
    const server = ['-s', api.url]
    const told = 'warning: nothing starts: "a" exists\n'
    expect(await cliResult(['get', 'device', 'ap-1', 'ap-1', '-o', 'name', ...server])).toMatchObject({
      code: 0,
      stderr: told,
    })
    const list = { kind: 'DeviceList', metadata: { resourceVersion: '1' }, items: [object] }
    const many = await startScriptedApi(() => ({ headers, body: list }))
    const waiting = ['wait', 'device/ap-1', '--for', 'jsonpath={.kind}=Device', '-s', many.url]
    expect(await cliResult(waiting)).toMatchObject({ code: 0, stderr: '' })
    const odd = await startScriptedApi(() => ({ headers: { Warning: '199 other "x"' }, body: object }))
    expect(await cliResult(['get', 'device', 'ap-1', '-o', 'name', '-s', odd.url])).toMatchObject({
      stderr: '',
    })
  })

  test('that says nothing is waited for as long as --timeout allows', async () => {
    const clock = createManualClock()
    const api = await startScriptedApi(() => () => {})
    const call = callCli(['get', 'devices', '-s', api.url, '--timeout', '5s'], { clock })
    await until('it is asked', () => api.requests.length === 1)
    await clock.advance(5000)
    expect(await call.done).toBe(2)
    expect(call.stderr()).toBe(
      `error: ${api.url} did not answer within 5s; raise --timeout if it is only slow\n`,
    )
  })

  test('that is not there is missed', async () => {
    const api = await startScriptedApi(() => emptyList)
    await api.stop()
    for (const args of [
      ['get', 'devices'],
      ['why', 'ap-1'],
      ['top'],
      ['tree', 'p'],
      ['logs', 'o'],
      ['events'],
    ]) {
      expect(await cliResult([...args, '--server', api.url])).toEqual({
        code: 2,
        stdout: '',
        stderr: `error: no Reflash answers at ${api.url}; is \`reflash run\` running? give --server\n`,
      })
    }
  })

  test('that breaks off is said to have broken off', async () => {
    const { code, stderr } = await whatIsSaid((answer) => {
      answer.writeHead(200, { 'Content-Length': '100' })
      answer.write('{', () => answer.destroy())
    })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error: the connection to URL broke: [a-z ]+\n$/)
  })
})

describe('the flags of the server', () => {
  test.each([
    [['-s', 'ftp://x'], '--server must be a URL such as http://127.0.0.1:8080, found "ftp://x"'],
    [['-s', 'http://'], '--server must be a URL such as http://127.0.0.1:8080, found "http://"'],
    [['-s', 'http://me:secret@x'], '--server must hold no user or password; use --token-file'],
    [['--timeout', 'soon'], '--timeout: "soon" is no duration; expected something like 90s, 15m or 1h30m'],
    [['--token-file', '/nowhere/token'], /^--token-file: ENOENT/],
    [['--ca-file', '/nowhere/ca'], /^--ca-file: ENOENT/],
  ] satisfies [string[], string | RegExp][])(
    'are refused when they cannot be used: %j',
    async (flags, message) => {
      const { code, stderr } = await cliResult(['get', 'devices', ...flags])
      expect(code).toBe(2)
      const said = stderr.replace(/^error: /, '').trimEnd()
      expect(said).toEqual(typeof message === 'string' ? message : expect.stringMatching(message))
    },
  )

  test('may leave the scheme out, and hold a path', async () => {
    const api = await startScriptedApi(() => emptyList)
    const base = `${api.url.replace('http://', '')}/reflash/`
    expect((await cliResult(['get', 'devices', '-s', base, '-o', 'json'])).code).toBe(0)
    expect(api.requests[0]!.url.pathname).toBe(
      '/reflash/apis/reflash.dev/v1alpha1/namespaces/default/devices',
    )
  })

  test('give a token from a file that only its owner can read', async () => {
    const api = await startScriptedApi(() => emptyList)
    const root = await makeTree({ token: 'rfl_ops_abc\n', two: 'one two' })
    const call = (file: string) =>
      cliResult(['get', 'devices', '-o', 'json', '-s', api.url, '--token-file', join(root, file)])
    await chmod(join(root, 'token'), 0o640)
    await chmod(join(root, 'two'), 0o600)
    expect((await call('token')).stderr).toMatch(/can be read by others \(mode 640\); chmod 600 it\n$/)
    expect((await call('two')).stderr).toMatch(/must hold one token and nothing else\n$/)
    await chmod(join(root, 'token'), 0o600)
    expect((await call('token')).code).toBe(0)
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer rfl_ops_abc'])
    await writeFile(join(root, 'token'), '')
    expect((await call('token')).code).toBe(2)
  })
})
