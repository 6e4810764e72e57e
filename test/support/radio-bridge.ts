import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type Connection, type Server, type ServerChannel } from 'ssh2'

const fwVersion = `#!/bin/sh
cat "$BOX/facts"
echo "uptime=$(( $(date +%s) - $(cat "$BOX/booted") ))"
[ -e "$BOX/pending" ] && echo busy=yes || echo busy=no
`

const fwApply = `#!/bin/sh
[ "$1" = --check ] && { check=yes; shift; }
head -n 1 "$1" | grep -q '^bridge-os ' || { echo 'not an image for this device' >&2; exit 3; }
[ "$check" = yes ] && exit 0
cp "$1" "$BOX/pending"
`

export interface RadioBridge {
  readonly port: number
  /** What it runs now. */
  version(): string
  /** Versions that were written, in order. */
  readonly flashes: readonly string[]
  close(): Promise<void>
}

/**
 * A device of another make behind a real SSH server: `fw-version` says what it runs, `fw-apply FILE` writes an image and
 * reboots, which closes the port, empties its home directory, and brings a new boot id.
 */
export const startRadioBridge = async ({
  version,
  rebootMs,
}: {
  version: string
  rebootMs: number
}): Promise<RadioBridge> => {
  const box = mkdtempSync(join(tmpdir(), 'reflash-bridge-'))
  const home = join(box, 'home')
  const bin = join(box, 'bin')
  mkdirSync(bin)
  for (const [name, text] of Object.entries({ 'fw-version': fwVersion, 'fw-apply': fwApply })) {
    writeFileSync(join(bin, name), text, { mode: 0o755 })
  }
  const hostKey = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }).private
  const connections = new Set<Connection>()
  const flashes: string[] = []
  let running = version
  let port = 0
  let server: Server | undefined
  let reboot: Promise<void> | undefined

  const boot = async (): Promise<void> => {
    rmSync(home, { recursive: true, force: true })
    mkdirSync(home)
    writeFileSync(
      join(box, 'facts'),
      `model=rb-5\nserial=RB5-0001\nversion=${running}\nboot=${randomUUID()}\n`,
    )
    writeFileSync(join(box, 'booted'), `${Math.floor(Date.now() / 1000)}`)
    server = new ssh2.Server({ hostKeys: [hostKey] }, welcome).listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }

  const stop = async (): Promise<void> => {
    for (const connection of connections) connection.end()
    if (server) await new Promise<void>((resolve) => server!.close(() => resolve()))
    server = undefined
  }

  const write = async (): Promise<void> => {
    const pending = join(box, 'pending')
    // Time for the answer to get out, as a real device has it.
    await new Promise((resolve) => setTimeout(resolve, rebootMs))
    running = /^bridge-os (\S+)/.exec(readFileSync(pending, 'latin1'))![1]!
    flashes.push(running)
    await stop()
    rmSync(pending)
    await new Promise((resolve) => setTimeout(resolve, rebootMs))
    await boot()
  }

  const run = (command: string, channel: ServerChannel): void => {
    const child = spawn('sh', ['-c', command], {
      cwd: home,
      env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, BOX: box },
    })
    channel.pipe(child.stdin)
    // A command may end before it has read everything.
    child.stdin.on('error', () => {})
    child.stdout.pipe(channel, { end: false })
    child.stderr.pipe(channel.stderr, { end: false })
    child.on('close', (code) => {
      channel.exit(code ?? 1)
      channel.end()
      channel.close()
      if (existsSync(join(box, 'pending'))) reboot ??= write().finally(() => (reboot = undefined))
    })
  }

  const welcome = (connection: Connection): void => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
    connection.on('error', () => {})
    connection.on('authentication', (context) => {
      const isKnown =
        context.method === 'password' && context.username === 'admin' && context.password === 'correct-horse'
      if (isKnown) context.accept()
      else context.reject(['password'])
    })
    connection.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, { command }) => run(command, acceptExec()))
    })
  }

  await boot()
  return {
    port,
    version: () => running,
    flashes,
    close: async () => {
      await reboot
      await stop()
      rmSync(box, { recursive: true, force: true })
    },
  }
}
