import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { type IncomingMessage, createServer, get, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { freePort } from '../support/free-port.ts'
import { builtPrograms, notBuilt } from '../support/built-programs.ts'
import { atMost, type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import { deviceFile, makeKnownFleet } from './known-fleet.ts'
import { type Measured, measure, reflash, residentBytes } from './measure.ts'
import { pause, startRun } from './running.ts'

const devices = 10_000
const rounds = 3
const maxRatio = 2
const idleWatches = 500
const slowWatches = 50
/** What a person sees as at once. */
const promptMs = 1000
const listPath = '/apis/reflash.dev/v1alpha1/devices'
const tableAccept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'

interface Answer {
  url: string
  accept: string
  type: string
  body: Buffer
}

const fetchWhole = async (url: string, accept: string): Promise<Answer & { firstMs: number; ms: number }> => {
  const startedMs = performance.now()
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    get(url, { headers: { accept } }, resolve).on('error', reject),
  )
  const firstMs = performance.now() - startedMs
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const type = response.headers['content-type'] ?? ''
  return { url, accept, type, body: Buffer.concat(chunks), firstMs, ms: performance.now() - startedMs }
}

/** Passes everything on and keeps the answers, so that a server of files can give the same ones. */
const recording = async (target: string, work: (url: string) => Promise<void>): Promise<Answer[]> => {
  const answers: Answer[] = []
  const proxy = createServer((asked, answer) => {
    const passed = request(`${target}${asked.url}`, { headers: asked.headers }, (response) => {
      const chunks: Buffer[] = []
      answer.writeHead(response.statusCode ?? 502, response.headers)
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).pipe(answer)
      response.on('end', () =>
        answers.push({
          url: asked.url!,
          accept: asked.headers.accept ?? '',
          type: response.headers['content-type'] ?? '',
          body: Buffer.concat(chunks),
        }),
      )
    })
    asked.pipe(passed)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  try {
    await work(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
  } finally {
    proxy.closeAllConnections()
    proxy.close()
  }
  return answers
}

/** Serves ready-made answers from files while `work` runs. */
const fromFiles = async <T>(
  folder: string,
  answers: readonly Answer[],
  work: (url: string) => Promise<T>,
): Promise<T> => {
  await mkdir(folder, { recursive: true })
  const index = answers.map(({ body: _body, ...answer }, number) => ({ ...answer, file: `${number}.json` }))
  await Promise.all(answers.map(({ body }, number) => writeFile(join(folder, `${number}.json`), body)))
  await writeFile(join(folder, 'answers.json'), JSON.stringify(index))
  const child = spawn(process.execPath, [fileURLToPath(new URL('file-server.ts', import.meta.url)), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    return await work(`http://127.0.0.1:${port}`)
  } finally {
    child.kill('SIGKILL')
  }
}

const best = async (command: () => Promise<Measured>): Promise<Measured> => {
  const all: Measured[] = []
  for (let round = 0; round < rounds; round += 1) {
    const measured = await command()
    const lines = measured.stdout.trim().split('\n').length
    if (measured.code !== 0 || lines !== devices + 1)
      throw new Error(`exit ${measured.code}, ${lines} lines: ${measured.stderr.slice(0, 500)}`)
    all.push(measured)
  }
  return all.toSorted((a, b) => a.wallMs - b.wallMs)[0]!
}

/** One client, the list of all devices from us and the same answers from files. */
const beside = async (
  folder: string,
  server: string,
  { name, command }: { name: string; command: (url: string) => Promise<Measured> },
): Promise<Finding> => {
  // Recorded from a client that has discovered everything before.
  await command(server)
  const answers = await recording(server, async (url) => void (await command(url)))
  const ours = await best(() => command(server))
  const files = await fromFiles(folder, answers, (url) => best(() => command(url)))
  const ratio = ours.wallMs / files.wallMs
  return atMost(
    `${name}: ours ${seconds(ours.wallMs)}, files ${seconds(files.wallMs)}, ratio ${ratio.toFixed(2)}`,
    ratio,
    maxRatio,
  )
}

/** What a list costs, whole and by the page. */
const lists = async (server: string): Promise<Finding[]> => {
  const cost = async (what: string, path: string, accept: string): Promise<Finding> => {
    const all = []
    for (let round = 0; round < rounds; round += 1) all.push(await fetchWhole(`${server}${path}`, accept))
    const { ms, firstMs, body } = all.toSorted((a, b) => a.ms - b.ms)[0]!
    return finding(
      `${what}: ${ms.toFixed(0)} ms, first byte after ${firstMs.toFixed(0)} ms, ${(body.length / 2 ** 20).toFixed(1)} MiB`,
    )
  }
  return [
    await cost('all objects', listPath, 'application/json'),
    await cost('all rows', listPath, tableAccept),
    await cost('one page of 500 rows', `${listPath}?limit=500`, tableAccept),
  ]
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A watch from nothing, and what its reader has seen. */
interface Watch {
  response: IncomingMessage
  /** Resolves when it has sent so many lines, or bytes. */
  sent(what: { lines: number } | { bytes: number }): Promise<void>
  /** Resolves with the time at which it sends this text. */
  shows(text: string): Promise<number>
  bytes(): number
}

const openWatch = async (server: string): Promise<Watch> => {
  const url = `${server}${listPath}?watch=true&resourceVersion=0`
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    get(url, { agent: false }, resolve).on('error', reject),
  )
  if (response.statusCode !== 200) throw new Error(`a watch is answered with ${response.statusCode}`)
  response.on('error', () => {})
  let bytes = 0
  const when = <T>(look: (chunk: Buffer) => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const onData = (chunk: Buffer): void => {
        const found = look(chunk)
        if (found === undefined) return
        response.off('data', onData)
        resolve(found)
      }
      response.on('data', onData).resume()
    })
  response.on('data', (chunk: Buffer) => (bytes += chunk.length))
  response.pause()
  return {
    response,
    sent: async (what) => {
      let lines = 0
      const isThere = (chunk: Buffer): true | undefined => {
        if ('bytes' in what) return bytes >= what.bytes || undefined
        for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1
        return lines >= what.lines || undefined
      }
      await when(isThere)
    },
    shows: (text) => {
      let tail = ''
      return when((chunk) => {
        const seen = tail + chunk.toString('latin1')
        tail = seen.slice(-text.length)
        return seen.includes(text) ? performance.now() : undefined
      })
    },
    bytes: () => bytes,
  }
}

/** What one watch costs, what many hold in memory, and how soon all of them hear of a change that `change` makes. */
const watches = async (
  server: string,
  pid: number,
  change: (text: string) => Promise<void>,
): Promise<Finding[]> => {
  const opened: Watch[] = []
  const open = async (): Promise<Watch> => {
    const watch = await openWatch(server)
    opened.push(watch)
    return watch
  }
  try {
    const startedMs = performance.now()
    const one = await open()
    await one.sent({ lines: devices })
    const oneMs = performance.now() - startedMs
    const whole = one.bytes()
    one.response.destroy()
    const before = residentBytes(pid)
    // The first objects of these are read by nobody: the server has to wait, not to remember.
    for (let count = 0; count < slowWatches; count += 1) await open()
    await sleep(2000)
    const slow = residentBytes(pid)
    const readers: Watch[] = []
    for (let count = 0; count < idleWatches; count += 1) {
      const reader = await open()
      readers.push(reader)
      await reader.sent({ bytes: whole })
    }
    const idle = residentBytes(pid)
    const text = 'seen by all'
    const shown = readers.map((reader) => reader.shows(text))
    const changedMs = performance.now()
    await change(text)
    const seenMs = await Promise.all(shown)
    const [firstMs, lastMs] = [Math.min(...seenMs), Math.max(...seenMs)]
    return [
      finding(`a watch from nothing: all ${devices} devices after ${seconds(oneMs)}`),
      finding(
        `memory: ${mebibytes(before)} before, ${mebibytes(slow)} with ${slowWatches} watches that nobody reads, ${mebibytes(idle)} with ${idleWatches} more that have read all ${devices} devices`,
      ),
      atMost(
        `a change in a file: with the first of ${idleWatches} watches after ${seconds(firstMs - changedMs)}, with the last ${(lastMs - firstMs).toFixed(0)} ms later`,
        lastMs - firstMs,
        promptMs,
        ' ms later',
      ),
    ]
  } finally {
    for (const { response } of opened) response.destroy()
  }
}

const run = (): Promise<Finding[]> =>
  withFolder(async (folder) => {
    const known = await makeKnownFleet(folder, devices)
    pause(known.directory)
    const port = await freePort()
    const server = `http://127.0.0.1:${port}`
    const running = await startRun(known, '--listen', `127.0.0.1:${port}`)
    try {
      while ((await fetchWhole(`${server}/readyz`, '*/*')).body.toString().trim() !== 'ok') await sleep(200)
      const clients = [
        {
          name: 'reflash get devices -A',
          command: (url: string) => measure(reflash('get', 'devices', '-A', '--server', url)),
        },
        ...builtPrograms('kubectl')
          .filter((program) => notBuilt([program]).length === 0)
          .map(({ version, path }) => ({
            name: `kubectl ${version} get devices -A`,
            command: (url: string) => {
              const cache = join(folder, 'cache', new URL(url).port)
              return measure([path, '--server', url, '--cache-dir', cache, 'get', 'devices', '-A'])
            },
          })),
      ]
      const found: Finding[] = await lists(server)
      for (const [index, client] of clients.entries())
        found.push(await beside(join(folder, `files-${index}`), server, client))
      const held = known.simulated.declared.find(({ written }) => written.kind === 'Device')!.written
      const hold = async (reason: string): Promise<void> => {
        const changed = { ...held, spec: { ...held.spec, hold: { reason } } }
        await writeFile(deviceFile(known.directory, held.metadata.name), `${JSON.stringify(changed)}\n`)
      }
      found.push(...(await watches(server, running.process.pid!, hold)))
      return found
    } finally {
      await running.stop()
    }
  })

export const apiBench: Bench = {
  title: `the HTTP API over ${devices} devices, beside a server of files with the same answers`,
  needs: [],
  run,
}
