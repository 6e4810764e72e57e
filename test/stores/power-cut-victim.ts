/**
 * Reflash itself, once over a directory: DIRECTORY STATE CACHE [dies]. Says each command before it is sent to a device,
 * and each write once it is told that it is kept. With `dies` it is killed before its first start.
 */
import { writeSync } from 'node:fs'
import type { Outside } from '../../src/app.ts'
import { idOf, type Kept, type Sent } from './power-cut-words.ts'
import { nameOf } from '../../src/simulator/command.ts'
import { runOnce } from '../crash/run-once.ts'

const [directory = '', state = '', cache = '', dies] = process.argv.slice(2)
// Synchronous, so that what was said before a kill has been said, in the order in which it was done.
const say = (line: Kept | Sent | object): void => void writeSync(1, `${JSON.stringify(line)}\n`)

const tell = ({ store, records, connector }: Outside): Outside => ({
  records,
  store: {
    ...store,
    create: async (manifest) => {
      const object = await store.create(manifest)
      say({ kept: idOf(object), version: object.metadata.resourceVersion })
      return object
    },
    saveStatus: async (object) => {
      const saved = await store.saveStatus(object)
      say({ kept: idOf(saved), version: saved.metadata.resourceVersion })
      return saved
    },
  },
  connector: {
    knock: (target, limitMs, signal) => connector.knock(target, limitMs, signal),
    connect: async (target, deadlineMs, signal) => {
      const session = await connector.connect(target, deadlineMs, signal)
      const send = (command: readonly string[]): void => {
        const sent = nameOf(command) ?? 'unknown'
        say({ sent, address: session.address, args: sent === 'upload' ? [] : command.slice(4) })
        if (dies !== undefined && sent === 'guard') process.kill(process.pid, 'SIGKILL')
      }
      return {
        address: session.address,
        hostKeys: session.hostKeys,
        close: () => session.close(),
        exec: (command, options, own) => {
          send(command)
          return session.exec(command, options, own)
        },
        upload: (command, content, options, own) => {
          send(command)
          return session.upload(command, content, options, own)
        },
      }
    },
  },
})

await runOnce({ directory, state, cache }, say, { decorate: tell })
