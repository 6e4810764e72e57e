/** Routers that say what they should not, at the moment at which one would be upgraded. */
import type { Fault } from '../../src/simulator/faults.ts'
import type { Row } from './row.ts'

const router = (
  what: string,
  fault: Fault | undefined,
  logged: string | RegExp,
  more: Partial<Row> = {},
): Row => ({
  id: 'B26',
  what: `a router ${what}`,
  spoil: async (good) => {
    if (fault) good.subject.inject(fault, Infinity)
    await good.release()
  },
  // Its manifests are right.
  says: [],
  logs: [logged],
  ...more,
})

const otherKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq1mLdU5dcWvM0Q8Ew0D6c9Z6c0vXk2aVYk0tB7F2rq'

export const routerRows: readonly Row[] = [
  router(
    'with another host key than the declared one',
    undefined,
    /shows another host key than the pinned one/,
    {
      restraint: 'device',
      spoil: async (good) => {
        await good.release()
        await good.write('device.yaml', `${await good.read('device.yaml')}  hostKeys: [${otherKey}]\n`)
      },
    },
  ),
  router(
    'that has been exchanged for another one',
    { kind: 'OtherDevice', board: 'acme,subject' },
    /shows another host key than the pinned one/,
  ),
  router(
    'of another board, with another key',
    { kind: 'OtherDevice', board: 'acme,other' },
    /shows another host key than the pinned one/,
  ),
  router(
    'that answers a probe with 10 MB',
    { kind: 'HugeOutput', command: 'probe', bytes: 10_000_000 },
    /wrote more than 65536 bytes/,
  ),
  router(
    'that paints the terminal by board and model',
    { kind: 'ControlCharacters' },
    /^the image is for acme,subject; the device is acme,subject\\x1b\[2J/,
  ),
  router('that lets nobody in any more', { kind: 'AuthRefused' }, /refuses root/),
]
