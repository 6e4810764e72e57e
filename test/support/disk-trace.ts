/** What a process did to its files, as `strace` saw it, one step after the other. */
export type DiskStep =
  | { kind: 'open'; path: string; creates: boolean; empties: boolean }
  | { kind: 'write'; path: string; offset: number; bytes: Buffer }
  | { kind: 'truncate'; path: string; size: number }
  | { kind: 'rename'; from: string; to: string }
  | { kind: 'unlink'; path: string }
  /** The file, or the names in the folder, survive a power cut from here on. */
  | { kind: 'sync'; path: string }
  /** A line on stdout: what a test lets the process say of what it does outside of its files. */
  | { kind: 'say'; line: string }

const calls = 'openat,pwrite64,write,ftruncate,rename,unlink,fsync,fdatasync'
/** More than any write of SQLite, or any line. */
const longestBytes = 100_000

/** Puts a program under `strace`, which writes into the file `trace`. */
export const underStrace = (trace: string): string[] => [
  ...`strace -f --seccomp-bpf -y -xx -s ${longestBytes} -e signal=none -e trace=${calls} -o`.split(' '),
  trace,
]

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(String.raw`\x`, ''), 'hex')
const textOf = (hex = ''): string => bytesOf(hex).toString()

/** Calls whole, though another thread came between their start and their end. */
function* wholeCalls(trace: string): Generator<string> {
  const begun = new Map<string, string>()
  for (const line of trace.split('\n')) {
    const [, pid = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const unfinished = call.indexOf(' <unfinished ...>')
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)
    if (unfinished !== -1) begun.set(pid, call.slice(0, unfinished))
    else if (resumed) yield begun.get(pid) + resumed[1]!
    else if (call !== '') yield call
  }
}

const at = String.raw`\d+<([^>]*)>`
const text = String.raw`"([^"]*)"(\.\.\.)?`
const shapes: readonly (readonly [RegExp, (found: readonly string[]) => DiskStep])[] = [
  [
    RegExp(String.raw`^pwrite64\(${at}, ${text}, \d+, (\d+)\) += \d+$`),
    ([path, bytes, , offset]) => ({
      kind: 'write',
      path: textOf(path),
      offset: Number(offset),
      bytes: bytesOf(bytes!),
    }),
  ],
  [
    RegExp(String.raw`^write\(1<[^>]*>, ${text}, \d+\) += \d+$`),
    ([line]) => ({ kind: 'say', line: textOf(line).trimEnd() }),
  ],
  [
    RegExp(String.raw`^openat\([^"]*${text}, ([A-Z_|]+)(?:, \d+)?\) += ${at}$`),
    ([, , flags = '', path]) => ({
      kind: 'open',
      path: textOf(path),
      creates: flags.includes('O_CREAT'),
      empties: flags.includes('O_TRUNC'),
    }),
  ],
  [
    RegExp(String.raw`^ftruncate\(${at}, (\d+)\) += 0$`),
    ([path, size]) => ({ kind: 'truncate', path: textOf(path), size: Number(size) }),
  ],
  [RegExp(String.raw`^f(?:data)?sync\(${at}\) += 0$`), ([path]) => ({ kind: 'sync', path: textOf(path) })],
  [
    RegExp(String.raw`^rename\(${text}, ${text}\) += 0$`),
    ([from, , to]) => ({ kind: 'rename', from: textOf(from), to: textOf(to) }),
  ],
  [RegExp(String.raw`^unlink\(${text}\) += 0$`), ([path]) => ({ kind: 'unlink', path: textOf(path) })],
]

/** The steps in what `underStrace` has written. @throws Error at a write that strace cut short. */
export function* readTrace(trace: string): Generator<DiskStep> {
  for (const call of wholeCalls(trace)) {
    for (const [shape, make] of shapes) {
      const found = shape.exec(call)
      if (!found) continue
      if (call.includes('"...')) throw new Error(`strace cut a call short: ${call.slice(0, 200)}`)
      yield make(found.slice(1))
      break
    }
  }
}
