import type { Machine } from './machine.ts'
import type { CommandResult } from './router.ts'

const result = (code: number, stdout = '', stderr = ''): CommandResult => ({ code, stdout, stderr })

const readAll = async (stdin: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

type Applet = (
  args: readonly string[],
  stdin: AsyncIterable<Uint8Array>,
  machine: Machine,
) => CommandResult | Promise<CommandResult>

/** The few programs beside the upgrader's own scripts: what it takes to try a connection. */
export const applets: Readonly<Record<string, Applet>> = {
  true: () => result(0),
  false: () => result(1),
  echo: (args) => result(0, `${args.join(' ')}\n`),
  cat: async (_args, stdin) => result(0, await readAll(stdin)),
  ls: ([path = '']) => result(1, '', `ls: ${path}: No such file or directory\n`),
  // Only as `head -c N /dev/zero`.
  head: ([, count = '0']) => result(0, '\0'.repeat(Number(count))),
  sleep: async ([seconds = '0'], _stdin, machine) => {
    await machine.clock.sleep(Number(seconds) * 1000)
    return result(0)
  },
  reboot: (_args, _stdin, machine) => {
    machine.reboot()
    return result(0)
  },
}
