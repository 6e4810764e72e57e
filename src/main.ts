#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { systemClock } from './adapters/clock/system-clock.ts'
import { runCli } from './cli/program.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

// The nursery of the heap stays small: left alone it grows to 64 MiB, for a few per cent of the CPU time.
setFlagsFromString('--semi-space-growth-factor=1')

const stop = new AbortController()
let signals = 0
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    signals += 1
    // The second signal means now: whatever is in flight is looked at by the next run.
    if (signals > 1) process.exit(name === 'SIGINT' ? 130 : 143)
    stop.abort(new DOMException(`stopped by ${name}`, 'AbortError'))
  })
}
// A reader that has left, as in `reflash plan | head`, is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await runCli(process.argv.slice(2), version, {
  stdout: {
    write: (text) => process.stdout.write(text),
    isTTY: process.stdout.isTTY,
    columns: process.stdout.columns,
    rows: process.stdout.rows,
  },
  stderr: {
    write: (text) => process.stderr.write(text),
    isTTY: process.stderr.isTTY,
    columns: process.stderr.columns,
    rows: process.stderr.rows,
  },
  env: process.env,
  signal: stop.signal,
  clock: systemClock,
})
