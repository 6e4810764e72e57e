import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describeRelease, type Release, traitsOf } from '../../src/simulator/release.ts'
import {
  daemonScript,
  initScript,
  pgrepScript,
  rebootScript,
  serviceScript,
  sysupgradeScript,
  uciScript,
  upgradedScript,
} from './router-scripts.ts'
import { freePort } from './free-port.ts'
import { until } from './until.ts'

/** What `startRouter` needs of the machine. */
export const routerPrograms = [
  'root',
  'setpriv',
  'nsenter',
  'unshare',
  'mount',
  'chroot',
  'busybox',
  'dropbear',
  'dropbearkey',
  'openssl',
  'perl',
] as const

export interface RouterOptions {
  release: Release
  /** Default `tplink,archer-c7-v5`. */
  board?: string
  model?: string
  /** Password of root; default `correct-horse`. */
  password?: string
  /** OpenSSH public-key lines. */
  authorizedKeys?: readonly string[]
  hostKeyTypes?: readonly ('ed25519' | 'rsa')[]
  /** MAC addresses of its Ethernet ports; default one of its own. */
  macs?: readonly string[]
  compatVersion?: string
  /** What /proc/meminfo says is available; default 90 MiB. */
  memoryAvailableBytes?: number
  /** Size of /tmp; default 64 MiB. */
  tmpBytes?: number
  /** Services that run, of OpenWrt's names; default none. */
  services?: readonly Service[]
  /** Programs of the machine that it has as well. */
  programs?: readonly string[]
  /** SSH window; OpenWrt's was 24 KiB up to 23.05.2, then 256 KiB. */
  windowBytes?: number
}

/** Services of OpenWrt by the name of their process. */
const processes = {
  uhttpd: 'uhttpd',
  rpcd: 'rpcd',
  cron: 'crond',
  odhcpd: 'odhcpd',
  dnsmasq: 'dnsmasq',
  log: 'logd',
} as const
export type Service = keyof typeof processes

/** How a router misbehaves from now on; an empty text or `false` ends it. */
export interface Misbehaviour {
  /** What every check of an image says when it refuses it. */
  refuse?: string
  /** What sysupgrade says when it dies right after its start. */
  die?: string
  /** Boots the old release after a flash. */
  rollBack?: boolean
  /** Does not boot again. */
  neverReturn?: boolean
  /** Exit code of a sysupgrade that started; default 246. */
  exitCode?: number
  /** How long `sysupgrade -T` takes. */
  testSeconds?: number
  /** From the start of sysupgrade until everything is killed; default 0.2. */
  shutdownSeconds?: number
  /** From the end of one boot until the next, silent as a router without power; default 0. */
  downSeconds?: number
}

/** A listener whose queue is full: whoever connects gets no answer, neither yes nor no. Says so. Arguments: address port */
const silentListener = `
use Socket; use Fcntl;
my $at = sockaddr_in($ARGV[1], inet_aton($ARGV[0]));
sub tcp { socket(my $socket, PF_INET, SOCK_STREAM, 0) or die $!; $socket }
my $listener = tcp; setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1);
bind($listener, $at) && listen($listener, 0) or die $!;
my @full = map { my $client = tcp; fcntl($client, F_SETFL, O_NONBLOCK); connect($client, $at); $client } 1..2;
$| = 1; print 'silent';
sleep`

/** Keeps an address silent while it lives, from its first output on. */
export const beSilent = (address: string, port: number): ChildProcess =>
  spawn('setpriv', ['--pdeathsig', 'KILL', 'perl', '-e', silentListener, address, String(port)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })

export interface NamespaceRouter {
  readonly address: string
  readonly port: number
  /** Public-key lines of its host keys, without comment. */
  readonly hostKeyLines: readonly string[]
  readonly password: string
  /** Where its disk is mounted here; /tmp and /proc of the router are only seen by `run`. */
  readonly root: string
  /** What is installed, read from its disk. */
  release(): Release
  bootId(): string
  /** How often it has booted. */
  boots(): number
  /** Every image that was really written, oldest first. */
  flashes(): { sha256: string; version: string; revision: string }[]
  /** How often a sysupgrade really got past its checks. */
  starts(): number
  misbehave(how: Misbehaviour): void
  /** What /proc/meminfo says from now on. */
  setMemory(availableBytes: number): void
  /** Runs a program inside, as a shell on the router would. */
  run(
    command: readonly string[],
    stdin?: string | Uint8Array,
  ): Promise<{ code: number | null; stdout: string; stderr: string }>
  /** Spawns a program inside, for tests that end it or speak with it. */
  spawn(command: readonly string[]): ChildProcess
  /** Cuts the power; it boots again at once. */
  powerCycle(): Promise<void>
  /** Resolves when it has booted more often than `boots`, and SSH answers. */
  booted(boots: number, limitMs?: number): Promise<void>
  stop(): Promise<void>
}

/** Applets of OpenWrt's default busybox that are linked; its shell also finds those that are not. */
const applets =
  'ash awk basename cat chmod cp cut date df dirname dmesg du echo egrep env expr false find free grep gunzip gzip head hexdump hostname id kill killall ln ls md5sum mkdir mkfifo mktemp mount mv nice passwd pidof ping printf ps pwd readlink rm rmdir sed sh sleep sort start-stop-daemon strings sync tail tar tee test [ touch tr true umount uname uniq uptime wc which xargs'.split(
    ' ',
  )

const passwordHashes = new Map<string, string>()
const hashPassword = (password: string): string => {
  const known = passwordHashes.get(password)
  if (known !== undefined) return known
  const hash = execFileSync('openssl', ['passwd', '-6', '-salt', 'reflash', '-stdin'], {
    input: password,
    encoding: 'utf8',
  }).trim()
  passwordHashes.set(password, hash)
  return hash
}

const librariesOf = (program: string): string[] =>
  execFileSync('ldd', [program], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? [])

const pathOf = (program: string): string =>
  execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${program}`], { encoding: 'utf8' }).trim()

/** Applets that Debian's busybox has and OpenWrt's lacks, each with a name in its place that keeps the table sorted. */
const foreignApplets = {
  base64: 'base6z',
  od: 'oc',
  realpath: 'realpatz',
  // The router has its own.
  reboot: 'rebooz',
  setsid: 'setsiz',
  stat: 'staz',
  timeout: 'timeouz',
  unzip: 'unziz',
  xxd: 'xxz',
} as const

/** A busybox that knows no more than that of the release: its shell runs every applet it has, whatever PATH says. */
const makeBusybox = (release: Release): Buffer => {
  const file = readFileSync(pathOf('busybox'))
  const hidden = { ...foreignApplets, ...(traitsOf(release).sha256sum ? {} : { sha256sum: 'sha256suz' }) }
  for (const [applet, other] of Object.entries(hidden)) {
    const at = file.indexOf(`\0${applet}\0`)
    if (at !== -1) file.write(other, at + 1, 'latin1')
  }
  return file
}

const borrowedFiles = new Map<string, Map<string, string>>()
/** Programs and libraries of the machine that a router runs, with their places there: mounted read-only, never copied. */
const borrowed = (programs: readonly string[] = []): Map<string, string> => {
  const known = borrowedFiles.get(programs.join(' '))
  if (known) return known
  const files = new Map([[pathOf('busybox'), '/rig/busybox']])
  for (const [program, folder] of [
    ['dropbear', '/usr/sbin'],
    ...programs.map((name) => [name, '/usr/bin']),
  ] as [string, string][]) {
    const file = pathOf(program)
    files.set(file, `${folder}/${program}`)
    for (const library of librariesOf(file)) files.set(library, library)
  }
  borrowedFiles.set(programs.join(' '), files)
  return files
}

const write = (root: string, path: string, text: string, mode = 0o644): void => {
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  chmodSync(file, mode)
}

const releaseFile = (release: Release): string => {
  const quote = traitsOf(release).doubleQuotes ? '"' : "'"
  const fields = {
    ID: release.distribution,
    RELEASE: release.version,
    REVISION: release.revision,
    TARGET: 'ath79/generic',
    DESCRIPTION: describeRelease(release),
    TAINTS: '',
  }
  return Object.entries(fields)
    .map(([name, value]) => `DISTRIB_${name}=${quote}${value}${quote}\n`)
    .join('')
}

/** Options that the release's sysupgrade knows. */
const optionsOf = ({ version }: Release): string => {
  const branch = Number.parseFloat(version)
  const since = (first: number, ...options: string[]) =>
    Number.isNaN(branch) || branch >= first ? options : []
  return [
    '-c',
    '-n',
    '-v',
    ...since(14.07, '-T'),
    ...since(17.01, '-p'),
    ...since(19.07, '-k', '-u', '-o'),
    ...since(22.03, '--ignore-minor-compat-version'),
  ].join(' ')
}

const memoryText = (release: Release, availableBytes: number): string => {
  const kib = Math.floor(availableBytes / 1024)
  const available = traitsOf(release).memAvailable ? `MemAvailable: ${kib} kB\n` : ''
  return `MemTotal: 131072 kB\nMemFree: ${kib} kB\n${available}Buffers: 0 kB\nCached: 0 kB\n`
}

const makeHostKey = (root: string, type: 'ed25519' | 'rsa'): string => {
  const file = join(root, `etc/dropbear/dropbear_${type}_host_key`)
  const said = execFileSync('dropbearkey', ['-t', type, '-f', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const line = said.split('\n').find((text) => text.startsWith('ssh-')) ?? ''
  return line.split(' ').slice(0, 2).join(' ')
}

const macOf = (seed: string): string => `60:e3:27:${seed.slice(0, 2)}:${seed.slice(2, 4)}:${seed.slice(4, 6)}`

/** Fills the disk of a router that is about to boot for the first time. */
const install = (root: string, options: RouterOptions): void => {
  const { release, board = 'tplink,archer-c7-v5', password = 'correct-horse', services = [] } = options
  for (const folder of [
    'bin',
    'proc',
    'dev',
    'tmp',
    'run',
    'rig',
    'root',
    'etc/dropbear',
    'etc/init.d',
    'lib/upgrade/keep.d',
  ]) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  for (const target of borrowed(options.programs).values()) write(root, target, '', 0o755)
  writeFileSync(join(root, 'bin/busybox'), makeBusybox(release), { mode: 0o755 })
  for (const applet of applets) symlinkSync('/bin/busybox', join(root, 'bin', applet))
  if (traitsOf(release).sha256sum) symlinkSync('/bin/busybox', join(root, 'bin/sha256sum'))

  write(root, 'sbin/init', initScript, 0o755)
  write(root, 'sbin/reboot', rebootScript, 0o755)
  write(root, 'sbin/sysupgrade', sysupgradeScript, 0o755)
  write(root, 'sbin/upgraded', upgradedScript, 0o755)
  write(root, 'usr/bin/pgrep', pgrepScript, 0o755)
  write(root, 'sbin/uci', uciScript, 0o755)
  // For the record of the rig itself, on releases without the applet, too.
  write(root, 'usr/sbin/sha256', '#!/bin/sh\nh=$(/rig/busybox sha256sum <"$1"); echo "${h%% *}"\n', 0o755)
  for (const service of services) {
    write(root, `etc/init.d/${service}`, serviceScript(service, processes[service]), 0o755)
    write(root, `usr/sbin/${processes[service]}`, daemonScript, 0o755)
  }
  write(root, 'etc/services', services.map((service) => `${service}\n`).join(''))
  write(root, 'etc/passwd', 'root:x:0:0:root:/root:/bin/ash\n')
  write(root, 'etc/group', 'root:x:0:\n')
  write(root, 'etc/shells', '/bin/ash\n')
  write(root, 'etc/shadow', `root:${hashPassword(password)}:20000:0:99999:7:::\n`, 0o600)
  write(
    root,
    'root/.ssh/authorized_keys',
    (options.authorizedKeys ?? []).map((key) => `${key}\n`).join(''),
    0o600,
  )
  chmodSync(join(root, 'root/.ssh'), 0o700)
  write(root, 'etc/openwrt_release', releaseFile(release))
  write(root, 'etc/board_name', board)
  write(root, 'etc/model', options.model ?? 'TP-Link Archer C7 v5')
  if (traitsOf(release).compatVersion)
    write(root, 'etc/compat_version', `${options.compatVersion ?? '1.0'}\n`)
  for (const [index, mac] of (options.macs ?? [macOf(randomUUID())]).entries()) {
    write(root, `sys/class/net/eth${index}/address`, `${mac}\n`)
    mkdirSync(join(root, `sys/class/net/eth${index}/device`))
  }
  write(root, 'sys/class/net/lo/address', '00:00:00:00:00:00\n')
  write(root, 'rig/options', optionsOf(release))
  write(root, 'rig/meminfo', memoryText(release, options.memoryAvailableBytes ?? 90 * 2 ** 20))
}

/** What the machine does at power-on: mounts, then init. Everything is gone with the namespaces. */
const bootScript = `set -e
root=$1 tmp=$2 where=$3 window=$4
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o "size=$tmp,mode=1777" tmpfs "$root/tmp"
mount -t tmpfs -o size=1m tmpfs "$root/run"
mount -t tmpfs -o size=1m tmpfs "$root/dev"
for d in null zero random urandom; do : >"$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
mount --bind "$root/rig/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount --bind "$root/rig/meminfo" "$root/proc/meminfo"
mkdir "$root/tmp/sysinfo"
cp "$root/etc/board_name" "$root/etc/model" "$root/tmp/sysinfo"
mkfifo "$root/run/power"
hostname router
shift 4
for pair; do mount -o bind,ro "\${pair%%=*}" "$root\${pair#*=}"; done
exec chroot "$root" /sbin/init "$where" "$window"`

/** /proc/uptime begins at zero with every boot, as far as the kernel has namespaces for time. */
const timeArgs = (): string[] =>
  existsSync('/proc/self/ns/time')
    ? ['--time', '--boottime', `-${Math.floor(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]))}`]
    : []

const answers = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port })
    socket.once('data', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })

const lines = (file: string): string[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : []

const collect = (child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> =>
  new Promise((resolve, reject) => {
    const text = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]?.on('data', (chunk: Buffer) => (text[stream] += chunk.toString('latin1')))
    }
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...text }))
  })

let started = 0
/** An address of its own for every router of every test process. */
const nextAddress = (): string => {
  started += 1
  return `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}.${1 + (started % 250)}`
}

/**
 * A router in namespaces of its own: real busybox, real dropbear, processes and mounts that nobody else sees, a disk that
 * outlives reboots and a /tmp that does not. Its `sysupgrade` kills everything and writes the image's release to the disk;
 * a supervisor here boots it again under a new boot id. The network is the machine's: it listens on a loopback address.
 */
export const startRouter = async (options: RouterOptions): Promise<NamespaceRouter> => {
  const base = mkdtempSync(join(tmpdir(), 'reflash-router-'))
  const root = join(base, 'disk')
  install(root, options)
  const hostKeyLines = (options.hostKeyTypes ?? ['ed25519']).map((type) => makeHostKey(root, type))
  const { password = 'correct-horse', tmpBytes = 64 * 2 ** 20, windowBytes = 24_576 } = options
  const address = nextAddress()
  const port = await freePort()
  const rig = (name: string) => join(root, 'rig', name)
  let boots = 0
  let bootId = ''
  let machine: ChildProcess | undefined
  let stopped = false
  let returns = true
  let downMs = 0

  const boot = (): void => {
    boots += 1
    bootId = randomUUID()
    writeFileSync(rig('boot_id'), `${bootId}\n`)
    const flags = ['--pid', '--fork', '--mount', '--uts', '--kill-child=SIGKILL', ...timeArgs()]
    const argv = [
      'sh',
      '-c',
      bootScript,
      'boot',
      root,
      String(tmpBytes),
      `${address}:${port}`,
      String(windowBytes),
    ]
    const files = [...borrowed(options.programs)].map(([file, target]) => `${file}=${target}`)
    const log = join(base, 'boot.log')
    const child = spawn(
      'setpriv',
      [
        '--pdeathsig',
        'KILL',
        'sh',
        '-c',
        'exec "$@" >>"$0" 2>&1',
        log,
        'unshare',
        ...flags,
        ...argv,
        ...files,
      ],
      {
        stdio: 'ignore',
      },
    )
    machine = child
    child.once('exit', () => {
      const again = (): void => {
        if (!stopped && returns) boot()
      }
      if (downMs === 0) return again()
      const silence = beSilent(address, port)
      setTimeout(() => {
        silence.once('exit', again)
        silence.kill('SIGKILL')
      }, downMs)
    })
  }

  /** The process that everything in the router's namespaces descends from. */
  const init = (): string => {
    const children =
      machine?.pid === undefined
        ? ''
        : readFileSync(`/proc/${machine.pid}/task/${machine.pid}/children`, 'utf8')
    return children.trim().split(' ')[0] ?? ''
  }

  const start = (command: readonly string[]): ChildProcess => {
    const enter = [
      '--target',
      init(),
      '--pid',
      '--mount',
      '--uts',
      ...(existsSync('/proc/self/ns/time') ? ['--time'] : []),
    ]
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' }
    return spawn('nsenter', [...enter, 'chroot', root, ...command], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  }

  const booted = async (before: number, limitMs = 20_000): Promise<void> => {
    await until(
      `router at ${address} boots and answers`,
      async () => boots > before && (await answers(address, port)),
      limitMs,
    )
  }

  const stop = async (): Promise<void> => {
    stopped = true
    const child = machine
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    rmSync(base, { recursive: true, force: true })
  }

  const flag = (name: string, value: boolean | undefined) => {
    if (value === undefined) return
    if (value) writeFileSync(rig(name), '')
    else rmSync(rig(name), { force: true })
  }
  const text = (name: string, value: string | number | undefined) => {
    if (value !== undefined) writeFileSync(rig(name), value === '' ? '' : `${value}\n`)
  }

  boot()
  try {
    await booted(0)
  } catch (error) {
    const said = [...lines(join(base, 'boot.log')), ...lines(rig('dropbear.log'))].join('; ')
    await stop()
    throw new Error(`the router does not boot: ${said}`, { cause: error })
  }

  return {
    address,
    port,
    hostKeyLines,
    password,
    root,
    release: () => {
      const field = (name: string) =>
        lines(join(root, 'etc/openwrt_release'))
          .find((line) => line.startsWith(`DISTRIB_${name}=`))
          ?.replace(/^[^=]*=["'](.*)["']$/, '$1') ?? ''
      return { distribution: field('ID'), version: field('RELEASE'), revision: field('REVISION') }
    },
    bootId: () => bootId,
    boots: () => boots,
    flashes: () =>
      lines(rig('flashes')).map((line) => {
        const [sha256 = '', version = '', revision = ''] = line.split(' ')
        return { sha256, version, revision }
      }),
    starts: () => lines(rig('starts')).length,
    misbehave: (how) => {
      text('refuse', how.refuse)
      text('die', how.die)
      text('exit-code', how.exitCode)
      text('test-seconds', how.testSeconds)
      text('shutdown-seconds', how.shutdownSeconds)
      flag('roll-back', how.rollBack)
      if (how.neverReturn !== undefined) returns = !how.neverReturn
      if (how.downSeconds !== undefined) downMs = 1000 * how.downSeconds
    },
    setMemory: (availableBytes) => writeFileSync(rig('meminfo'), memoryText(options.release, availableBytes)),
    run: (command, stdin = '') => {
      const child = start(command)
      child.stdin?.on('error', () => {})
      child.stdin?.end(stdin)
      return collect(child)
    },
    spawn: start,
    powerCycle: async () => {
      const before = boots
      machine?.kill('SIGKILL')
      await booted(before)
    },
    booted,
    stop,
  }
}
