/** What a directory may hold beside manifests: each thing would start the subject if it were read. */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { greedyPolicy, type GoodFleet } from './good-fleet.ts'
import type { Row } from './row.ts'

const run = ({ directory }: GoodFleet, command: string): unknown =>
  execFileSync('sh', ['-c', command], { cwd: directory })

const imagePath = (what: string, path: string, logged: string): Row => ({
  id: 'B15',
  what,
  restraint: 'image',
  spoil: async (good) => {
    await good.release()
    await writeFile(join(good.outside, 'subject.bin'), await good.readBytes('images/subject.bin'))
    await good.edit('image.yaml', '{path: images/subject.bin}', `{path: ${path}}`)
  },
  says: [
    'image.yaml:6:18: spec.source.path: must be relative, without "..", and beside the manifest or below it',
  ],
  logs: [logged],
})

const badPath = (shown: string): string =>
  `the path "${shown}" must be relative, without "..", and at most 16 folders deep`

const link = (what: string, path: string, to: string, ...says: string[]): Row => ({
  id: 'B16',
  what,
  spoil: async (good) => {
    await writeFile(join(good.outside, 'greedy.yaml'), greedyPolicy)
    await good.link(path, to)
  },
  says,
})

const misspelt = ':7:3: spec.prority: is not a known field; did you mean priority?'

const named = (what: string, name: string | Buffer, ...says: string[]): Row => ({
  id: 'B18',
  what,
  spoil: (good) => good.write(name, greedyPolicy.replace('priority', 'prority')),
  says,
})

export const fileRows: readonly Row[] = [
  imagePath('two folders up', '../../etc/shadow', badPath('../../etc/shadow')),
  imagePath('one folder up, where it is', '../subject.bin', badPath('../subject.bin')),
  imagePath('absolute', '/etc/shadow', badPath('/etc/shadow')),
  imagePath('with a NUL', '"images/subject.bin\\0.txt"', badPath('images/subject.bin\\x00.txt')),
  imagePath(
    'percent-encoded',
    '"%2e%2e/subject.bin"',
    'there is no file "%2e%2e/subject.bin" beside the manifest',
  ),
  {
    id: 'B15',
    what: 'by a link',
    restraint: 'image',
    spoil: async (good) => {
      await good.release()
      await writeFile(join(good.outside, 'subject.bin'), await good.readBytes('images/subject.bin'))
      await good.link('images/linked.bin', '../../subject.bin')
      await good.edit('image.yaml', 'images/subject.bin', 'images/linked.bin')
    },
    says: ['image.yaml:6:18: spec.source.path: "images/linked.bin" is a link that leads out of its folder'],
    logs: ['the path "images/linked.bin" leads out of its folder'],
  },
  link('to a manifest outside', 'link.yaml', '../greedy.yaml', 'link.yaml:1:1: leads out of the directory'),
  link('to a folder outside', 'link', '..', 'link:1:1: leads out of the directory'),
  link('to itself', 'link.yaml', 'link.yaml', 'link.yaml:1:1: is a link to itself'),
  link('to nothing', 'link.yaml', 'nothing.yaml', 'link.yaml:1:1: is a link to nothing that can be read'),
  link('to a device of the system', 'link.yaml', '/dev/zero', 'link.yaml:1:1: leads out of the directory'),
  {
    id: 'B17',
    what: 'a named pipe',
    spoil: async (good) => run(good, 'mkfifo odd.yaml'),
    says: ['odd.yaml:1:1: is a named pipe, not a file'],
  },
  {
    id: 'B17',
    what: 'a socket',
    spoil: async (good) => {
      const server = createServer().listen(join(good.directory, 'odd.yaml'))
      good.defer(() => server.close())
      await new Promise((resolve) => server.once('listening', resolve))
    },
    says: ['odd.yaml:1:1: is a socket, not a file'],
  },
  {
    id: 'B17',
    what: 'a folder',
    spoil: async (good) => {
      await mkdir(join(good.directory, 'odd.yaml'))
      await good.write('odd.yaml/greedy.yaml', greedyPolicy)
    },
    says: ['odd.yaml:1:1: is a folder, not a file'],
  },
  {
    id: 'B17',
    what: 'a device',
    needsRoot: true,
    spoil: async (good) => run(good, 'mknod odd.yaml c 1 5'),
    says: ['odd.yaml:1:1: is a device, not a file'],
  },
  named('a new line in it', 'new\nline.yaml', `new\\x0aline.yaml${misspelt}`),
  named('an escape sequence', '\u001b[2Jgone.yaml', `\\x1b[2Jgone.yaml${misspelt}`),
  named('text from right to left', 'rtl\u202Elmay.yaml', `rtl\\u{202e}lmay.yaml${misspelt}`),
  named('255 bytes', `${'x'.repeat(250)}.yaml`, `${'x'.repeat(250)}.yaml${misspelt}`),
  named(
    'what is no UTF-8',
    Buffer.from('caf\xE9.yaml', 'latin1'),
    'café.yaml:1:1: has a name that is not UTF-8',
  ),
]
