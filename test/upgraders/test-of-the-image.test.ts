import { expect, test } from 'vitest'
import type { Session } from '../../src/ports/connector.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { jobOf } from '../support/router-session.ts'

const signal = new AbortController().signal
const job = jobOf(Buffer.from('image'), { options: { keepOverlay: true, keepPartitionTable: true } })

/** A device on which `sysupgrade -T` says this, and keeps the command that it was asked by. */
function deviceSaying(output: string, exitCode: number) {
  const commands: (readonly string[])[] = []
  const session = {
    exec: async (command: readonly string[]) => {
      commands.push(command)
      const stdout = `@output\n${output}\n@exit ${exitCode}\n@end\n`
      return { code: 0, stdout, stderr: '' }
    },
  } as unknown as Session
  return { commands, session }
}

test.each([
  ['Image metadata not present', 0, undefined],
  ['', 0, undefined],
  ['', 1, 'Rejected'],
  ['all is well', 1, 'Rejected'],
  ['Image check failed.', 0, undefined],
  ['Invalid option: -o', 1, 'Unsupported'],
  ['No space left on device', 1, 'NoSpace'],
  ['Invalid option: -T', 1, undefined],
])('is judged by its exit code, whatever it says: %j with %i', async (output, exitCode, refusal) => {
  const judged = openwrtUpgrader.test(job, deviceSaying(output, exitCode).session, signal)
  if (refusal === undefined) await expect(judged).resolves.toBeUndefined()
  else await expect(judged).rejects.toMatchObject({ code: refusal })
})

test('has the options of the real run', async () => {
  const { commands, session } = deviceSaying('', 0)
  await openwrtUpgrader.test(job, session, signal)
  expect(commands).toEqual([['sh', '-s', '--', 'test', '-o', '-p']])
})
