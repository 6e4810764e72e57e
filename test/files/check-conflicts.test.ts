import { describe, expect, it } from 'vitest'
import { checkConflicts } from '../../src/adapters/files/check-conflicts.ts'
import { openDirectory } from '../../src/adapters/files/directory-source.ts'
import { deviceText, manifestText } from '../support/example-fleet.ts'
import { createFastClock } from '../support/fast-clock.ts'
import { diagnosticsOf } from '../support/followed-directory.ts'
import { makeTree } from '../support/tree.ts'

const category = manifestText('Category', 'ap', '{}')
const policy = (name: string, rest = ''): string =>
  manifestText('UpgradePolicy', name, `{categoryRef: {name: ap}, target: {buildRef: {name: b}}${rest}}`)
const jump =
  ', jumpHost: {address: 192.0.2.9, credentialsRef: {name: routers}, hostKeys: [ssh-ed25519 AAAA]}}'

const complaints = async (...documents: string[]): Promise<string[]> => {
  const root = await makeTree({ 'a.yaml': [category, ...documents].join('---\n') })
  const revision = await openDirectory(root, { clock: createFastClock(20) }).readOnce()
  return diagnosticsOf({ problems: checkConflicts(revision) })
}

describe('conflicts', () => {
  it('are none where each device has its own address and one policy comes first', async () => {
    const devices = [deviceText('d1'), deviceText('d2', '192.0.2.2')]
    const policies = [policy('one'), policy('two'), policy('first', ', priority: 200')]
    expect(await complaints(...devices, ...policies)).toEqual([])
  })

  it('are found between two policies for many devices, once', async () => {
    const devices = [1, 2, 3].map((index) => deviceText(`d${index}`, `192.0.2.${index}`))
    expect(
      await complaints(...devices, policy('one', ', priority: 7'), policy('two', ', priority: 7')),
    ).toEqual([
      'a.yaml:29:74: spec.priority: must differ from that of UpgradePolicy one (a.yaml:21): both select Device d1 and 2 more, and neither acts on them',
    ])
  })

  it('are found between two devices at one address, in whatever letters', async () => {
    expect(
      await complaints(deviceText('d1', 'AP.example'), deviceText('d2', '192.0.2.7, ap.example')),
    ).toEqual([
      'a.yaml:14:33: spec.addresses: ap.example port 22 is that of Device d1 (a.yaml:6) as well, and neither is touched',
    ])
  })

  it('are none behind different jump hosts, in different namespaces, or at different ports', async () => {
    const devices = [
      deviceText('d1'),
      deviceText('d2').replace(/}\n$/, `${jump}\n`),
      deviceText('d3').replace('name: d3', 'name: d3, namespace: other'),
      deviceText('d4').replace(/}\n$/, ', port: 2222}\n'),
    ]
    expect(await complaints(...devices)).toEqual([])
  })
})

describe('a policy that selects nothing', () => {
  const nobody = policy('one', ', selector: {matchLabels: {site: nowhere}}')

  it('is told', async () => {
    expect(await complaints(deviceText('d1'), nobody)).toEqual([
      'a.yaml:14:64: warning: spec.selector: matches no Device of category ap',
    ])
  })

  it.each([
    ['the directory has no devices', []],
    ['a device could not be read', [deviceText('d1'), deviceText('d2', '5')]],
  ])('is not told while %s', async (_, devices) => {
    expect(await complaints(...devices, nobody)).toEqual([])
  })
})
