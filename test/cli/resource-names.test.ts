import { describe, expect, test } from 'vitest'
import { CliError } from '../../src/cli/context.ts'
import { checkName, collectionPath, nameOfKind, readKind, readTargets } from '../../src/cli/resource-names.ts'

const read = (...words: string[]): string[] =>
  readTargets(words).map(({ resource, name }) =>
    name === undefined ? resource.kind : `${resource.kind}/${name}`,
  )

describe('kinds and names', () => {
  test.each(['devices', 'device', 'dev', 'Device', 'DEVICES', 'devices.reflash.dev'])(
    '%s is a Device',
    (word) => {
      expect(read(word)).toEqual(['Device'])
    },
  )

  test.each([
    ['policy', 'UpgradePolicy'],
    ['upol', 'UpgradePolicy'],
    ['op', 'UpgradeOperation'],
    ['image', 'FirmwareImage'],
    ['ev', 'Event'],
    ['ns', 'Namespace'],
  ])('%s is what people call a %s', (word, kind) => {
    expect(read(word)).toEqual([kind])
  })

  test('are read as kubectl reads them', () => {
    expect(read('dev,upol')).toEqual(['Device', 'UpgradePolicy'])
    expect(read('dev,device')).toEqual(['Device'])
    expect(read('device', 'a', 'b')).toEqual(['Device/a', 'Device/b'])
    expect(read('dev/a', 'upol/b')).toEqual(['Device/a', 'UpgradePolicy/b'])
    expect(read('dev,upol', 'a')).toEqual(['Device/a', 'UpgradePolicy/a'])
    expect(read('reflash')).toHaveLength(6)
    expect(read('all')).toEqual(read('reflash'))
  })

  test.each([
    [['devcies'], 'there is no kind "devcies"; did you mean devices?'],
    [
      ['pods'],
      'there is no kind "pods"; known are categories, builds, firmwareimages, devices, upgradepolicies, upgradeoperations, events, namespaces',
    ],
    [['dev/a', 'b'], '"b" must be KIND/NAME, as all that are given with it'],
    [['dev/a/b'], '"dev/a/b" must be KIND/NAME, as all that are given with it'],
    [['dev,upol/a'], '"dev,upol/a" must be KIND/NAME, as all that are given with it'],
    [['dev', '..'], '".." is no name of an object'],
    [['dev', 'a?b'], '"a?b" is no name of an object'],
    [['dev', '\u001b[2J'], '"\\x1b[2J" is no name of an object'],
    [[], 'name a kind, such as devices, or KIND/NAME'],
  ])('refuses %j', (words, message) => {
    expect(() => readTargets(words)).toThrow(new CliError(message, 2))
  })

  test('stand in the paths of the API', () => {
    const device = readKind('device')
    expect(collectionPath(device)).toBe('/apis/reflash.dev/v1alpha1/devices')
    expect(collectionPath(device, 'lab')).toBe('/apis/reflash.dev/v1alpha1/namespaces/lab/devices')
    expect(collectionPath(device, '../x')).toBe('/apis/reflash.dev/v1alpha1/namespaces/..%2Fx/devices')
    expect(collectionPath(readKind('events'), 'lab')).toBe('/api/v1/namespaces/lab/events')
    expect(collectionPath(readKind('namespaces'), 'lab')).toBe('/api/v1/namespaces')
  })

  test('may leave the kind out where there is one', () => {
    expect(nameOfKind('Device', 'ap-1')).toBe('ap-1')
    expect(nameOfKind('Device', 'dev/ap-1')).toBe('ap-1')
    expect(() => nameOfKind('Device', 'policy/p')).toThrow('"policy/p" is no Device')
    expect(checkName('a.b-c')).toBe('a.b-c')
  })
})
