import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type Connection, type ServerConfig } from 'ssh2'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

const { Server, utils } = ssh2

/** What `startDropbear` and `startSshd` need. */
export const dropbearPrograms = ['root', 'setpriv', 'unshare', 'mount', 'dropbear', 'dropbearkey'] as const
export const sshdPrograms = ['root', 'setpriv', 'unshare', 'mount', 'sshd', 'ssh-keygen'] as const

export const password = 'correct horse'
/** The same, as /etc/shadow wants it. */
const passwordHash =
  '$6$reflash$U1in83W77/DYrDhd6/zz2TkfCDjYpL..4qZ3zTTRdB/DFXF.oBdIfjGabkweDd1.zcfCl98IGDQA550Vdxx4T/'

interface KeyPair {
  private: string
  public: string
}

/** ssh2 1.17 drops a leading zero byte: of its ed25519 keys one in 256 is broken, for OpenSSH too. */
const soundPair = (make: () => KeyPair): KeyPair => {
  for (;;) {
    const pair = make()
    if (!(utils.parseKey(pair.private, 'sesame') instanceof Error)) return pair
  }
}

const encryption = { passphrase: 'sesame', cipher: 'aes256-cbc', rounds: 4 }
/** Made once: RSA keys take a while. */
export const userKeys = {
  ed25519: soundPair(() => utils.generateKeyPairSync('ed25519')),
  rsa: utils.generateKeyPairSync('rsa', { bits: 2048 }),
  encrypted: soundPair(() => utils.generateKeyPairSync('ed25519', encryption)),
}

export interface RunningServer {
  readonly port: number
  /** Public-key lines of its host keys, without comment. */
  readonly hostKeys: readonly string[]
  /** The folder that is root's home there. */
  readonly home: string
  readonly pid: number
  /** What it has written to stderr so far. */
  log(): string
  /** Kills the server and all that it serves, as a power cut would. */
  kill(): Promise<void>
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })

/** A folder with the accounts of the server: root, at home here, and the user that OpenSSH separates privileges with. */
const makeHome = (shadow: string): string => {
  const home = mkdtempSync(join(tmpdir(), 'reflash-ssh-'))
  mkdirSync(join(home, '.ssh'), { mode: 0o700 })
  const keys = Object.values(userKeys).map((pair) => `${pair.public}\n`)
  writeFileSync(join(home, '.ssh/authorized_keys'), keys.join(''), { mode: 0o600 })
  writeFileSync(
    join(home, 'passwd'),
    `root:x:0:0:root:${home}:/bin/sh\nsshd:x:105:65534::/run/sshd:/bin/false\n`,
  )
  writeFileSync(join(home, 'shadow'), `root:${shadow}:20000:0:99999:7:::\n`)
  return home
}

/** Runs a server that sees our accounts instead of the machine's, in process and mount namespaces of its own. */
const launch = async (home: string, port: number, argv: readonly string[]) => {
  const script =
    'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow && mkdir -p /run/sshd && shift && exec "$@"'
  const child: ChildProcess = spawn(
    // The server dies with us: a test that fails half-way does not reach its clean-up.
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      'unshare',
      '-m',
      '-p',
      '--fork',
      '--kill-child=SIGKILL',
      'sh',
      '-c',
      script,
      'sh',
      home,
      ...argv,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: home } },
  )
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString('latin1')))
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = async () => {
    child.kill('SIGKILL')
    await gone
    rmSync(home, { recursive: true, force: true })
  }
  await until(`${argv[0]} accepts connections (${log})`, () => {
    if (child.exitCode !== null) throw new Error(`${argv[0]} ended: ${log}`)
    return accepts(port)
  })
  return { port, home, pid: child.pid ?? 0, log: () => log, kill }
}

const withoutComment = (line: string): string => line.split(' ').slice(0, 2).join(' ')

export interface DropbearOptions {
  hostKeyTypes?: readonly ('ed25519' | 'rsa' | 'ecdsa')[]
  /** Window in bytes; OpenWrt's was 24 KiB up to 23.05.2, then 256 KiB. */
  windowBytes?: number
  /** An account without a password, as on a new router. */
  blankPassword?: boolean
  port?: number
  args?: readonly string[]
}

export const startDropbear = async (options: DropbearOptions = {}): Promise<RunningServer> => {
  const {
    hostKeyTypes = ['ed25519', 'rsa'],
    windowBytes = 24_576,
    blankPassword = false,
    args = [],
  } = options
  const port = options.port ?? (await freePort())
  const home = makeHome(blankPassword ? '' : passwordHash)
  const hostKeys: string[] = []
  const keyArgs = hostKeyTypes.flatMap((type) => {
    const file = join(home, `host-${type}`)
    const said = execFileSync('dropbearkey', ['-t', type, '-f', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    hostKeys.push(withoutComment(said.split('\n').find((line) => /^(ssh|ecdsa)-/.test(line)) ?? ''))
    return ['-r', file]
  })
  const argv = [
    'dropbear',
    '-F',
    '-E',
    '-p',
    `127.0.0.1:${port}`,
    '-W',
    `${windowBytes}`,
    '-P',
    join(home, 'pid'),
  ]
  const started = await launch(home, port, [...argv, ...(blankPassword ? ['-B'] : []), ...keyArgs, ...args])
  return { ...started, hostKeys }
}

export const startSshd = async (options: { config?: readonly string[] } = {}): Promise<RunningServer> => {
  const port = await freePort()
  const home = makeHome(passwordHash)
  const hostKeys: string[] = []
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `PidFile ${home}/pid`,
    'UsePAM no',
    'StrictModes no',
  ]
  config.push('PermitRootLogin yes', 'PrintMotd no', ...(options.config ?? []))
  for (const type of ['ed25519', 'ecdsa', 'rsa']) {
    const file = join(home, `host-${type}`)
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', file])
    hostKeys.push(withoutComment(execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' }).trim()))
    config.push(`HostKey ${file}`)
  }
  writeFileSync(join(home, 'config'), `${config.join('\n')}\n`)
  const started = await launch(home, port, ['/usr/sbin/sshd', '-D', '-e', '-f', join(home, 'config')])
  return { ...started, hostKeys }
}

export interface ScriptedServer {
  readonly port: number
  readonly hostKey: string
  /** Method and user name of every authentication request so far. */
  readonly authentications: string[]
  /** TCP connections that are open. */
  connections(): number
  close(): Promise<void>
}

/** A server made with ssh2 whose bad behaviour a test scripts; it lets everybody in unless the test says otherwise. */
export const startScriptedServer = async (
  onClient: (client: Connection, authentications: string[]) => void,
  config: Partial<ServerConfig> = {},
): Promise<ScriptedServer> => {
  const pair = soundPair(() => utils.generateKeyPairSync('ed25519'))
  const authentications: string[] = []
  const sockets = new Set<Connection>()
  const server = new Server({ hostKeys: [pair.private], ...config }, (client) => {
    sockets.add(client)
    client.on('close', () => sockets.delete(client))
    client.on('error', () => {})
    client.on('authentication', (context) => {
      authentications.push(`${context.method} ${context.username}`)
    })
    onClient(client, authentications)
    if (client.listenerCount('authentication') === 1)
      client.on('authentication', (context) => context.accept())
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    hostKey: withoutComment(pair.public),
    authentications,
    connections: () => sockets.size,
    close: async () => {
      for (const client of sockets) client.end()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
