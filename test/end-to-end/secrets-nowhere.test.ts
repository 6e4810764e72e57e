import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { startReflash } from '../support/cli.ts'
import { makeServedFleet, secretText } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

/** What the simulated routers accept. */
const routerPassword = 'correct-horse'

/** In every entry of every Secret; nothing else says it. */
const canary = 'Kanarienvogel-7391'
const encodings = [canary, Buffer.from(canary).toString('base64').slice(0, -2), encodeURIComponent(canary)]

const badKey = `-----BEGIN OPENSSH PRIVATE KEY-----\n${canary}\n-----END OPENSSH PRIVATE KEY-----\n`

test('what is in a Secret appears nowhere', { timeout: 60_000 }, async () => {
  const fleet = await makeServedFleet({ count: 4 })
  // One upgrade that works with the right password, and every way in which credentials can be wrong.
  await fleet.write('secret-wrong.yaml', secretText('wrong', { username: 'root', password: canary }))
  await fleet.write('secret-key.yaml', secretText('key', { username: 'root', 'ssh-privatekey': badKey }))
  await fleet.write('secret-half.yaml', secretText('half', { user: canary, passphrase: canary }))
  await fleet.write('secret-broken.yaml', `apiVersion: v1\nkind: Secret\nstringData: {password: ${canary}}\n`)
  await fleet.writeDevice(1, { credentialsRef: { name: 'wrong' } })
  await fleet.writeDevice(2, { credentialsRef: { name: 'key' } })
  await fleet.writeDevice(3, { credentialsRef: { name: 'half' } })

  const child = startReflash(['run', ...fleet.flags, '--listen', '127.0.0.1:0', '--log-level', 'debug'])
  const lines: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => lines.push(line))
  try {
    const server = await until('the address of the API', () =>
      lines.map((line) => /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]).find((url) => url !== undefined),
    )
    const read = async (path: string, accept = '*/*'): Promise<string> => {
      const response = await fetch(`${server}${path}`, { headers: { accept } })
      return `${response.status} ${[...response.headers].join(' ')} ${await response.text()}`
    }
    const group = '/apis/reflash.dev/v1alpha1'
    await until(
      'an upgrade, and three devices that nobody can log in to',
      async () => {
        const [operations, devices] = await Promise.all([
          read(`${group}/upgradeoperations`),
          read(`${group}/devices`),
        ])
        return (
          /"phase":"Succeeded"/.test(operations) &&
          ['AuthFailed', 'NotFound'].every((word) => devices.includes(word))
        )
      },
      30_000,
    )

    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const { resources } = JSON.parse((await read(group)).replace(/^[^{]*/, '')) as {
      resources: { name: string }[]
    }
    const kinds = resources.map(({ name }) => name).filter((name) => !name.includes('/'))
    expect(kinds).toContain('devices')
    const { paths } = JSON.parse((await read('/openapi.json')).replace(/^[^{]*/, '')) as { paths: object }
    const operation = /ap-[0-9]+-[0-9a-f]{8}-1|[a-z0-9-]+-[0-9a-f]{8}-1/.exec(
      await read(`${group}/upgradeoperations`),
    )![0]
    const said = await Promise.all([
      ...kinds.flatMap((kind) => [
        read(`${group}/${kind}`),
        read(`${group}/${kind}?includeObject=Object`, table),
        read(`${group}/${kind}?watch=true&resourceVersion=0&timeoutSeconds=1`),
        read(`${group}/${kind}?labelSelector=${canary.slice(0, 5)}%3D`),
      ]),
      ...fleet.routers.map(({ name }) => read(`/api/status/v1/devices/default/${name}`)),
      read(`/api/status/v1/operations/default/${operation}/log?follow=false`, 'text/plain'),
      read('/api/v1/events'),
      read('/api/v1/namespaces'),
      read('/api/v1/secrets'),
      read('/api/v1/namespaces/default/secrets/routers'),
      read('/metrics'),
      read('/readyz?verbose'),
      read('/docs'),
      ...Object.keys(paths)
        .filter((path) => !path.includes('{'))
        .map((path) => read(path)),
    ])
    const process = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${child.pid}/${file}`, 'latin1'))
    child.kill('SIGTERM')
    await once(child, 'exit')
    const state = ['', '-wal', '-shm']
      .map((ending) => `${fleet.state}${ending}`)
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, 'latin1'))
    const everything = { said, process, state, lines }
    expect(said.join('')).toContain('AuthFailed')
    for (const [place, texts] of Object.entries(everything)) {
      const found = texts.filter((text) => encodings.some((encoded) => text.includes(encoded)))
      expect({ place, found }).toEqual({ place, found: [] })
    }
    // The right password is no less secret than the wrong one.
    for (const texts of Object.values(everything)) expect(texts.join('\n')).not.toContain(routerPassword)
  } finally {
    child.kill('SIGKILL')
  }
})
