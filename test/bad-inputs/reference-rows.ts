/** Manifests that are right by themselves, and wrong beside the others. */
import { greedyPolicy } from './good-fleet.ts'
import type { Row } from './row.ts'

const pointedAt = (
  what: string,
  [file, before, after]: readonly [file: string, before: string, after: string],
  says: readonly string[],
  logged: string,
): Row => ({
  id: 'B12',
  what,
  spoil: async (good) => {
    await good.release()
    await good.edit(file, before, after)
  },
  says,
  logs: [logged],
})

export const referenceRows: readonly Row[] = [
  {
    id: 'B10',
    what: 'a policy whose labels no device has',
    spoil: (good) => good.edit('policy.yaml', 'role: subject', 'role: nobody'),
    says: ['policy.yaml:6:3: warning: spec.selector: matches no Device of category ap'],
    ends: ['policy subject: matches no device'],
  },
  {
    id: 'B11',
    what: 'a second policy of the same priority',
    spoil: async (good) => {
      await good.release()
      await good.write('second.yaml', greedyPolicy.replace('  priority: 900\n', ''))
    },
    says: [
      'policy.yaml:4:1: spec.priority: must differ from that of UpgradePolicy greedy (second.yaml:1): both select Device subject, and neither acts on it',
    ],
    logs: ['PolicyConflict: policies greedy and subject both select it at priority 100'],
  },
  pointedAt(
    'a device of a category that is not there',
    ['device.yaml', '{name: ap}', '{name: aps}'],
    [
      'device.yaml:5:23: spec.categoryRef: there is no Category aps in namespace default; did you mean ap?',
      'policy.yaml:6:3: warning: spec.selector: matches no Device of category ap',
    ],
    'category aps does not exist',
  ),
  pointedAt(
    'a device whose Secret is not there',
    ['device.yaml', '{name: routers}', '{name: router}'],
    [
      'device.yaml:7:26: spec.credentialsRef: there is no Secret router in namespace default; did you mean routers?',
    ],
    'Secret router does not exist in namespace default',
  ),
  pointedAt(
    'a policy whose build is not there',
    ['policy.yaml', 'buildRef: {name: subject}', 'buildRef: {name: subjct}'],
    [
      'policy.yaml:7:29: spec.target.buildRef: there is no Build subjct in namespace default; did you mean subject?',
    ],
    'build subjct does not exist',
  ),
  pointedAt(
    'a policy whose category is not there',
    ['policy.yaml', '{name: ap}', '{name: ab}'],
    ['policy.yaml:5:23: spec.categoryRef: there is no Category ab in namespace default; did you mean ap?'],
    'category ab does not exist',
  ),
  pointedAt(
    'a build whose category is not there',
    ['build.yaml', '{name: ap}', '{name: ab}'],
    ['build.yaml:5:23: spec.categoryRef: there is no Category ab in namespace default; did you mean ap?'],
    'category ab does not exist',
  ),
  pointedAt(
    'an image whose build is not there',
    ['image.yaml', 'buildRef: {name: subject}', 'buildRef: {name: subjct}'],
    ['image.yaml:5:20: spec.buildRef: there is no Build subjct in namespace default; did you mean subject?'],
    'build subjct does not exist',
  ),
  {
    id: 'B12',
    what: 'an image whose file is not there',
    restraint: 'image',
    spoil: async (good) => {
      await good.release()
      await good.edit('image.yaml', 'images/subject.bin', 'images/subjct.bin')
    },
    says: [
      'image.yaml:6:18: warning: spec.source.path: there is no file "images/subjct.bin" beside the manifest',
    ],
    logs: ['there is no file "images/subjct.bin" beside the manifest'],
  },
  {
    id: 'B14',
    what: 'a second device at the address',
    spoil: async (good) => {
      await good.release()
      await good.write(
        'second.yaml',
        (await good.read('device.yaml')).replace('name: subject', 'name: second'),
      )
    },
    says: [
      'second.yaml:6:3: spec.addresses: 10.0.0.1 port 22 is that of Device subject (device.yaml:1) as well, and neither is touched',
    ],
    logs: ['Device default/second has the same address', 'Device default/subject has the same address'],
  },
]
