/** Real kubectls against an API that asks for tokens: they send one over TLS only. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reflash } from '../support/cli.ts'
import { makeCertificate } from '../support/certificate.ts'
import { builtPrograms, notBuilt } from '../support/built-programs.ts'
import { makeKubectl } from '../support/kubectl.ts'
import { missingPrograms } from '../support/programs.ts'
import { unlessMissing } from '../support/requires.ts'
import { startServedApi, type ServedApi } from '../support/served-api.ts'
import { startServedFleet, type ServedFleet } from '../support/served-fleet.ts'
import { until } from '../support/until.ts'

const programs = builtPrograms('kubectl')

const labText = `apiVersion: reflash.dev/v1alpha1
kind: Category
metadata: {name: cameras, namespace: lab}
spec: {}
`

unlessMissing([...notBuilt(programs), ...missingPrograms('openssl')])('kubectl with a token', () => {
  let fleet: ServedFleet
  let served: ServedApi
  let cert: string
  const tokens = { everything: '', lab: '' }

  beforeAll(async () => {
    fleet = await startServedFleet({ count: 1, seed: 'kubectl-tls', policy: { state: 'Plan' } })
    await fleet.write('lab.yaml', labText)
    const files = await makeCertificate(fleet.folder)
    cert = files.cert
    const tokenFile = join(fleet.folder, 'tokens.yaml')
    const token = async (...args: string[]): Promise<string> =>
      (await reflash(['token', '--file', tokenFile, ...args])).stdout.trim()
    tokens.everything = await token('--id', 'laptop')
    tokens.lab = await token('--id', 'lab', '--namespace', 'lab')
    const tls = ['--tls-cert', files.cert, '--tls-key', files.key]
    served = await startServedApi(fleet, ...tls, '--token-file', tokenFile)
  })

  afterAll(async () => {
    await served.stop()
    await fleet.stop()
  })

  describe.each(programs)('$version', (program) => {
    const kubectl = (token: string) =>
      makeKubectl(program, served.url, fleet.folder, ['--certificate-authority', cert, '--token', token])

    test('shows what the token may see, without addresses', async () => {
      const { run, read } = kubectl(tokens.everything)
      await until('the device', async () => (await run('get', 'device', 'ap-001')).code === 0)
      expect(await read('get', 'devices')).toMatch(/^ap-001 /m)
      const yaml = await read('get', 'device', 'ap-001', '-o', 'yaml')
      expect(yaml).not.toContain('127.0.0.1')
      expect(yaml).not.toContain('ssh-rsa')
    })

    test('follows over TLS', async () => {
      const { follow } = kubectl(tokens.lab)
      const followed = follow('get', 'categories', '-n', 'lab', '--watch')
      await followed.line(/^cameras /)
    })

    test('keeps a token to its namespaces', async () => {
      const { run, read } = kubectl(tokens.lab)
      expect(await read('get', 'categories', '-n', 'lab', '-o', 'name')).toBe(
        'category.reflash.dev/cameras\n',
      )
      for (const where of [['-A'], ['-n', 'default']]) {
        const { code, stderr } = await run('get', 'devices', ...where)
        expect([code, stderr]).toEqual([1, expect.stringContaining('(Forbidden)')])
      }
    })

    test('is told what is missing when the token is none of ours', async () => {
      const { code, stderr } = await kubectl(`${tokens.everything}x`).run('get', 'devices')
      expect([code, stderr]).toEqual([1, expect.stringContaining('a valid token is needed')])
    })
  })
})
