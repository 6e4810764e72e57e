import { nameOf, runCommand } from './command.ts'
import type { CommandChoice, CommandName, Fault } from './faults.ts'
import type { RouterEvent } from './history.ts'
import type { HostKey } from './host-key.ts'
import {
  createMachine,
  type LinkEnd,
  type MachineOptions,
  type MachineState,
  type Timings,
} from './machine.ts'
import { traitsOf } from './release.ts'

/** What a command leaves behind; `code` is null when its channel closes without one. Text is Latin-1. */
export interface CommandResult {
  code: number | null
  stdout: string
  stderr: string
}

/** One authenticated connection to a router, seen from the outside. */
export interface Link {
  /** How it ended, if it has. */
  ended(): LinkEnd | undefined
  /** Told once, when somebody or something ends it; at once when that has happened already. */
  onEnd(listener: (how: LinkEnd) => void): void
  /**
   * Runs a command with all of `stdin`. A command whose answer cannot come never resolves: whoever waits has a deadline.
   * A `stdin` that throws leaves the command as a lost connection would.
   */
  run(command: readonly string[], stdin: AsyncIterable<Uint8Array>): Promise<CommandResult>
  /** Ends it from the client's side; what has been sent is still run. */
  close(): void
}

/** What somebody shows to be let in: one password, or one public key (as an OpenSSH line) whose private half is there. */
export type Login = { username: string } & ({ password: string } | { publicKey: string })

/** A simulated router, as networks and tests see it. */
export interface Router {
  readonly name: string
  readonly timings: Timings
  /** How it stands right now. To be read; what changes it are commands, faults and time. */
  readonly state: Readonly<MachineState>
  /** Everything that has really happened to it. */
  readonly history: readonly RouterEvent[]
  /** Makes something go wrong at its next occasions, or, where it has none, now. */
  inject(fault: Fault, times?: number): void
  /** Somebody pulls the plug and puts it back. */
  powerCycle(): void
  /** What a TCP connection meets right now. */
  answer(): 'Accepts' | 'Refuses' | 'Silent'
  /** What the next connection is offered, and how much longer than usual that takes. */
  greet(): { hostKeys: readonly HostKey[]; legacyOnly: boolean; delayMs: number }
  authenticate(login: Login): boolean
  open(): Link
  /** Told when it stops and when it begins to answer. */
  onPower(listener: (power: 'Up' | 'Down', how: LinkEnd) => void): () => void
}

export interface RouterOptions extends MachineOptions {
  /** What a TCP connection meets while it is down; default `Silent`, as most do. */
  whileDown?: 'Refuses' | 'Silent'
}

const never = <T>(): Promise<T> => new Promise(() => {})

/** Type and key of an OpenSSH public-key line, without its comment. */
const keyOf = (line: string): string => line.split(' ', 2).join(' ')

const noise = (bytes: number): string =>
  '\u001b[2J\u0000\u00ff noise '.repeat(Math.ceil(bytes / 12)).slice(0, bytes)

/** A router that behaves and misbehaves like OpenWrt, in the time of its clock. */
export const createRouter = (options: RouterOptions): Router => {
  const { whileDown = 'Silent' } = options
  const machine = createMachine(options)
  const { state, faults, clock, timings, record } = machine

  const open = (): Link => {
    let ended: LinkEnd | undefined
    const listeners: ((how: LinkEnd) => void)[] = []
    const end = (how: LinkEnd) => {
      if (ended !== undefined) return
      ended = how
      forget()
      for (const listener of listeners) listener(how)
    }
    const forget = machine.onPower((power, how) => {
      if (power === 'Down') end(how)
    })
    record({ type: 'Connected', bootId: state.bootId })

    /** Whether a command gets as far as the router. */
    const deliver = async (name: CommandName | undefined): Promise<boolean> => {
      const meant = ({ command }: { command: CommandChoice }) => command === 'any' || command === name
      if (faults.take('LinkLost', (fault) => fault.at === 'Before' && meant(fault)) !== undefined) {
        end('Closed')
        return false
      }
      const { bootId } = state
      const late = faults.take('LateDelivery', meant)
      await clock.sleep(timings.commandMs / 2 + (late?.ms ?? 0))
      // What comes late may come from anywhere, even into another boot: the router has to defend itself.
      return machine.isReachable() && (late !== undefined || state.bootId === bootId)
    }

    const run: Link['run'] = async (command, stdin) => {
      const name = nameOf(command)
      const meant = (fault: { command: CommandChoice }) => fault.command === 'any' || fault.command === name
      if (ended !== undefined || !(await deliver(name))) return never()
      const result = await runCommand(machine, command, { stdin, cut: () => end('Closed') })
      if (result === undefined || faults.take('NoAnswer', meant) !== undefined) return never()
      if (faults.take('LinkLost', (fault) => fault.at === 'After' && meant(fault)) !== undefined)
        end('Closed')
      const huge = faults.take('HugeOutput', meant)
      await clock.sleep(timings.commandMs / 2)
      if (ended !== undefined) return never()
      return huge === undefined ? result : { ...result, stdout: result.stdout + noise(huge.bytes) }
    }

    return {
      ended: () => ended,
      onEnd: (listener) => {
        if (ended === undefined) listeners.push(listener)
        else listener(ended)
      },
      run,
      close: () => end('Closed'),
    }
  }

  const inject = (fault: Fault, times = 1) => {
    faults.add(fault, times)
    // These three wait for nothing.
    const outage = faults.take('Outage')
    if (outage !== undefined) machine.cutNetwork(outage)
    const other = faults.take('OtherDevice')
    if (other !== undefined) machine.replace(other.board)
    const reboot = faults.take('SpontaneousReboot')
    if (reboot !== undefined) clock.after(reboot.afterMs, machine.reboot)
  }

  const isKnown = (login: Login): boolean => {
    if (login.username !== 'root') return false
    if ('password' in login) return login.password === state.password
    const key = keyOf(login.publicKey)
    if (key.startsWith('ssh-ed25519 ') && !traitsOf(state.release).ed25519) return false
    return state.authorizedKeys.some((line) => keyOf(line) === key)
  }

  return {
    name: machine.name,
    timings,
    state,
    history: machine.history,
    inject,
    powerCycle: machine.powerCycle,
    onPower: machine.onPower,
    open,
    answer: () => {
      if (machine.isReachable()) return 'Accepts'
      return state.outage?.answer ?? whileDown
    },
    greet: () => ({
      hostKeys: state.hostKeys,
      legacyOnly: traitsOf(state.release).legacyOnly || faults.take('LegacyOnly') !== undefined,
      delayMs: faults.take('SlowConnect')?.ms ?? 0,
    }),
    authenticate: (login) => {
      const accepted = isKnown(login) && faults.take('AuthRefused') === undefined
      if (!accepted) record({ type: 'AuthRefused' })
      return accepted
    },
  }
}
