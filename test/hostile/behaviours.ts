import type { Writable } from 'node:stream'
import type { Connection, ServerChannel } from 'ssh2'
import type { FailureClass, Phase } from '../../src/api/resources.ts'
import { nameOf } from '../../src/simulator/command.ts'
import type { CommandChoice, Fault } from '../../src/simulator/faults.ts'
import { knownReleases, type Release } from '../../src/simulator/release.ts'
import type { CommandResult, Router } from '../../src/simulator/router.ts'
import type { Manners } from '../../src/simulator/ssh-server.ts'

/** What must come of it: of the operation, or, where there can be none, of the device. */
export type End =
  | { phase: Phase; failureClass?: FailureClass; message: RegExp; leastAttempts?: number; once?: Phase }
  | { condition: 'Reachable' | 'Stalled' | 'UpToDate'; reason: string; message: RegExp }

/** One way in which a router behaves badly, from its first probe to the end of an upgrade. */
export interface Behaviour {
  name: string
  faults?: readonly { fault: Fault; times?: number }[]
  /** What its server does beside that. */
  manners?: Manners
  /** What its commands do instead. */
  disguise?: (router: Router) => Router
  /** What it runs at first; default 23.05.5. */
  release?: Release
  legacyAlgorithms?: boolean
  end: End
}

const escapes = '\u001b[2J\u001b]0;owned\u0007\r\n\u0000\u00ff'
const always = 1000
const succeeded: End = { phase: 'Succeeded', message: /^runs OpenWrt 24\.10\.8 .*since a new boot$/ }
const silent = (condition: RegExp): End => ({
  condition: 'Reachable',
  reason: 'NotAnswering',
  message: condition,
})

/** Only this command is answered otherwise; undefined: as ever. */
const onCommand =
  (wanted: CommandChoice, act: (router: Router) => CommandResult | undefined) =>
  (router: Router): Router => ({
    ...router,
    open: () => {
      const link = router.open()
      return {
        ...link,
        run: async (command, stdin) =>
          (nameOf(command) === wanted ? act(router) : undefined) ?? link.run(command, stdin),
      }
    },
  })

const otherMacsAtSecondLook = (router: Router): Router => {
  let looks = 0
  return {
    ...router,
    open: () => {
      const link = router.open()
      return {
        ...link,
        run: async (command, stdin) => {
          const result = await link.run(command, stdin)
          if (nameOf(command) !== 'probe' || ++looks < 2) return result
          return { ...result, stdout: result.stdout.replaceAll(/(?<=@macs\n|^)60:e3:27/gm, 'c4:41:1e') }
        },
      }
    },
  }
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Says what it has to say and how it ended, and never closes anything. */
const neverCloses = (channel: ServerChannel, { code, stdout }: CommandResult): void => {
  channel.write(latin1(stdout), () => channel.exit(code ?? 0))
}

/** One byte now and then, for as long as anybody listens. */
const drips = (channel: ServerChannel): void => {
  const timer = setInterval(() => channel.write('.'), 50)
  channel.on('close', () => clearInterval(timer))
}

/** Dies in the middle of its answer, with a text for the terminal of whoever reads why. */
const diesBySignal = (channel: ServerChannel, { stdout }: CommandResult): void => {
  channel.stderr.write(latin1(escapes))
  channel.write(latin1(stdout.slice(0, 200)), () => {
    channel.exit('KILL', false, escapes.repeat(100))
    channel.close()
  })
}

/** Answers and goes on writing, to where it has answered or to where it would complain. */
const floods =
  (stream: (channel: ServerChannel) => Writable) =>
  (channel: ServerChannel, { stdout }: CommandResult): void => {
    channel.write(latin1(stdout))
    const out = stream(channel)
    const more = (): void => void (out.writable && out.write(Buffer.alloc(30_000, escapes), more))
    more()
  }

/** Wants to be connected to what the controller can reach, and to its display and its keys. */
const opensChannels = (connection: Connection): void => {
  const refused = (): void => {}
  connection.forwardOut('127.0.0.1', 22, '127.0.0.1', 22, refused)
  connection.x11('127.0.0.1', 6000, refused)
  connection.openssh_forwardOutStreamLocal('/run/agent', refused)
}

const exchangesKeys = (connection: Connection): void => {
  const again = (): void => connection.rekey(() => setTimeout(again, 20).unref())
  again()
}

/** The twenty of which every router, or what stands in its place, may be capable. */
export const behaviours: readonly Behaviour[] = [
  {
    name: 'loses its answer to the start together with the shell',
    faults: [{ fault: { kind: 'StartExit', code: null } }],
    end: succeeded,
  },
  {
    name: 'goes down without closing its connections',
    faults: [{ fault: { kind: 'NoFin' } }],
    end: succeeded,
  },
  { name: 'closes neither a channel nor a connection', manners: { answer: neverCloses }, end: succeeded },
  {
    name: 'says that it has started, and has not',
    disguise: onCommand('guard', () => ({ code: 0, stdout: 'GUARD 0\n', stderr: '' })),
    end: {
      phase: 'Failed',
      failureClass: 'NotStarted',
      message: /never started: same boot, nothing running/,
    },
  },
  {
    name: 'falls back to the old release',
    faults: [{ fault: { kind: 'RolledBack' } }],
    end: {
      phase: 'Failed',
      failureClass: 'RolledBack',
      message: /^rebooted, but still runs OpenWrt 23\.05\.5/,
    },
  },
  {
    name: 'refuses the image in words that steer a terminal',
    faults: [
      {
        fault: { kind: 'TestRefused', text: `Device a not supported by this image ${escapes}` },
        times: always,
      },
    ],
    end: { phase: 'Failed', failureClass: 'Rejected', message: /not supported by this image \\x1b\[2J/ },
  },
  {
    name: 'runs out of memory in the first upload',
    faults: [{ fault: { kind: 'OutOfMemory' } }],
    end: { ...succeeded, leastAttempts: 2 },
  },
  {
    name: 'has its /tmp full',
    faults: [{ fault: { kind: 'TmpFull' }, times: always }],
    end: {
      phase: 'Failed',
      failureClass: 'UploadFailed',
      message: /could not store the image|not enough room/,
    },
  },
  {
    name: 'loses its configuration, and with it its host key',
    faults: [{ fault: { kind: 'ConfigLost' } }],
    end: { phase: 'Failed', failureClass: 'Lost', message: /shows the host key .* but pinned is/ },
  },
  {
    name: 'comes back with one more host key',
    faults: [{ fault: { kind: 'AddedHostKey' } }],
    release: knownReleases['18.06.9'],
    end: succeeded,
  },
  {
    name: 'comes back long after it was given up',
    faults: [{ fault: { kind: 'LateReturn', ms: 100_000 } }],
    end: { ...succeeded, once: 'Failed' },
  },
  {
    name: 'never comes back',
    faults: [{ fault: { kind: 'NoReturn' } }],
    end: { phase: 'Failed', failureClass: 'Lost', message: /./ },
  },
  {
    name: 'refuses the right password',
    faults: [{ fault: { kind: 'AuthRefused' }, times: always }],
    end: {
      condition: 'Stalled',
      reason: 'AuthFailed',
      message: /refuses root by password .*is the password right/,
    },
  },
  {
    name: 'knows neither sha256sum nor MemAvailable, and no key exchange but one with SHA-1',
    faults: [
      { fault: { kind: 'NoSha256sum' } },
      { fault: { kind: 'NoMemAvailable' } },
      { fault: { kind: 'LegacyOnly' } },
    ],
    legacyAlgorithms: true,
    end: succeeded,
  },
  {
    name: 'answers with megabytes',
    faults: [{ fault: { kind: 'HugeOutput', command: 'any', bytes: 2 ** 21 }, times: always }],
    end: silent(/wrote more than 65536 bytes/),
  },
  {
    name: 'has control characters and escape sequences in every field',
    faults: [{ fault: { kind: 'ControlCharacters' }, times: always }],
    // As if it had a board of its own.
    end: {
      condition: 'UpToDate',
      reason: 'NotOnTarget',
      message: /no image for board tplink,archer-c7-v5\\x1b\[2J/,
    },
  },
  {
    name: 'has the MAC addresses of another device when it is to be upgraded',
    disguise: otherMacsAtSecondLook,
    end: { phase: 'Failed', failureClass: 'IdentityChanged', message: /./ },
  },
  {
    name: 'never answers a command',
    faults: [{ fault: { kind: 'NoAnswer', command: 'any' }, times: always }],
    end: silent(/did not end within/),
  },
  { name: 'drips a byte at a time', manners: { answer: drips }, end: silent(/did not end within/) },
  {
    name: 'dies of a signal with a text for the terminal',
    manners: { answer: diesBySignal },
    end: silent(/its answer was cut off/),
  },
]

/** What a server can do beside that. */
export const moreBehaviours: readonly Behaviour[] = [
  {
    name: 'goes on writing behind its answer',
    manners: { answer: floods((channel) => channel) },
    end: silent(/wrote more than 65536 bytes to stdout/),
  },
  {
    name: 'complains without an end',
    manners: { answer: floods((channel) => channel.stderr) },
    end: silent(/wrote more than 65536 bytes to stderr/),
  },
  { name: 'opens channels to the controller', manners: { onClient: opensChannels }, end: succeeded },
  { name: 'exchanges keys again and again', manners: { onClient: exchangesKeys }, end: succeeded },
]
