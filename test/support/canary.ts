import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startReflash } from './cli.ts'
import { userKeys } from './ssh-servers.ts'
import { until } from './until.ts'

/** In every entry of every Secret that is no good; nothing else says it. */
export const canary = 'Kanarienvogel-7391'

/** As it stands, and as it may have been written down: in base64 it looks different at each of three places. */
const formsOf = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString('hex'),
  ...[0, 1, 2].map((before) =>
    Buffer.from('x'.repeat(before) + secret)
      .toString('base64')
      .slice(before === 0 ? 0 : 4, -4),
  ),
]

/** Where any of the secrets is found, by the name of the place. */
export function placesOf(everything: Record<string, readonly string[]>, ...secrets: string[]): string[] {
  const forms = [canary, ...secrets].flatMap(formsOf)
  return Object.entries(everything).flatMap(([place, texts]) =>
    texts.flatMap((text) =>
      forms.flatMap((form) => {
        const at = text.indexOf(form)
        return at < 0 ? [] : [`${place}: ${text.slice(Math.max(0, at - 200), at + 200)}`]
      }),
    ),
  )
}

const pemOf = (body: string): string =>
  `-----BEGIN OPENSSH PRIVATE KEY-----\n${body}\n-----END OPENSSH PRIVATE KEY-----\n`

/** Every way in which what a Secret holds can be wrong, by the name of the Secret. */
export const badCredentials: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  wrong: { username: 'root', password: canary },
  key: { username: 'root', 'ssh-privatekey': pemOf(canary) },
  'key-in-base64': { username: 'root', 'ssh-privatekey': pemOf(Buffer.from(canary).toString('base64')) },
  'wrong-passphrase': {
    username: 'root',
    'ssh-privatekey': userKeys.encrypted.private,
    passphrase: canary,
  },
  'public-half': { username: 'root', 'ssh-privatekey': `ssh-ed25519 ${canary}` },
  'no-username': { user: canary, passphrase: canary },
}

/** A `reflash` of which everything is heard and read. */
export interface OverheardProcess {
  readonly lines: readonly string[]
  /** Where it serves its API. */
  url: Promise<string>
  /** Status, headers and body of an answer. */
  read: (path: string, headers?: Record<string, string>) => Promise<string>
  /** What anybody on the machine may see of it, and what it leaves behind when it crashes. */
  shown(): Promise<string[]>
  stop(): Promise<void>
  kill(): void
}

/** Starts it with reports of crashes into a folder. */
export function overhear(args: readonly string[], folder: string): OverheardProcess {
  const child: ChildProcess = startReflash([...args, '--listen', '127.0.0.1:0', '--log-level', 'debug'], {
    NODE_OPTIONS: `--report-on-signal --report-signal=SIGUSR2 --report-directory=${folder}`,
  })
  const lines: string[] = []
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  const url = until('the address of the API', () =>
    lines.map((line) => /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]).find((found) => found !== undefined),
  )
  url.catch(() => {})
  const reports = (): string[] => readdirSync(folder).filter((name) => name.startsWith('report.'))
  return {
    lines,
    url,
    read: async (path, headers = { accept: '*/*' }) => {
      const response = await fetch(`${await url}${path}`, { headers })
      return `${response.status} ${[...response.headers].join(' ')} ${await response.text()}`
    },
    shown: async () => {
      child.kill('SIGUSR2')
      const report = await until('a report', () => reports().map((name) => readWhole(join(folder, name)))[0])
      return [report, ...['cmdline', 'environ'].map((file) => readWhole(`/proc/${child.pid}/${file}`))]
    },
    stop: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
    kill: () => void child.kill('SIGKILL'),
  }
}

const readWhole = (path: string): string => readFileSync(path, 'latin1')

interface Listed {
  items: { metadata: { name: string }; status: { phase?: string; conditions?: Condition[] } }[]
}

interface Condition {
  type: string
  status: string
  message: string
}

/** Nothing as long as the fleet has not been read. */
const listOf = async ({ read }: OverheardProcess, kind: string): Promise<Listed['items']> => {
  const { items = [] } = JSON.parse((await read(`${group}/${kind}`)).replace(/^[^{]*/, '')) as Partial<Listed>
  return items
}

/** How many upgrades have succeeded, and why devices cannot be logged in to, by their names. */
export async function standOf(
  child: OverheardProcess,
): Promise<{ succeeded: number; refused: Record<string, string> }> {
  const [operations, devices] = await Promise.all([
    listOf(child, 'upgradeoperations'),
    listOf(child, 'devices'),
  ])
  const refused = devices.flatMap(({ metadata, status: { conditions = [] } }) => {
    const why = conditions.find(({ type, status }) => type === 'Reachable' && status === 'Unknown')
    return why ? [[metadata.name, why.message]] : []
  })
  return {
    succeeded: operations.filter(({ status }) => status.phase === 'Succeeded').length,
    refused: Object.fromEntries(refused) as Record<string, string>,
  }
}

const group = '/apis/reflash.dev/v1alpha1'

/** All that the API says, in every form, of objects that a fleet has; also to whoever shows a wrong token. */
export async function readApi(child: OverheardProcess, deviceNames: readonly string[]): Promise<string[]> {
  const { read } = child
  const json = async (path: string): Promise<unknown> => JSON.parse((await read(path)).replace(/^[^{]*/, ''))
  const { resources } = (await json(group)) as { resources: { name: string }[] }
  const kinds = resources.map(({ name }) => name).filter((name) => !name.includes('/'))
  const { paths } = (await json('/openapi.json')) as { paths: object }
  const operations = await listOf(child, 'upgradeoperations')
  const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
  return Promise.all([
    ...kinds.flatMap((kind) => [
      read(`${group}/${kind}`),
      read(`${group}/${kind}?includeObject=Object`, table),
      read(`${group}/${kind}?watch=true&resourceVersion=0&timeoutSeconds=1`),
      read(`${group}/${kind}?labelSelector=${canary.slice(0, 5)}%3D`),
    ]),
    ...deviceNames.map((name) => read(`/api/status/v1/devices/default/${name}`)),
    ...operations.map(({ metadata: { name } }) =>
      read(`/api/status/v1/operations/default/${name}/log?follow=false`, { accept: 'text/plain' }),
    ),
    read(group, { authorization: `Bearer ${canary}` }),
    read(group, { authorization: `Basic ${Buffer.from(`root:${canary}`).toString('base64')}` }),
    read('/api/v1/events'),
    read('/api/v1/namespaces'),
    read('/api/v1/secrets'),
    read('/api/v1/namespaces/default/secrets/routers'),
    read('/metrics'),
    read('/readyz?verbose'),
    read('/docs'),
    ...Object.keys(paths)
      .filter((path) => !path.includes('{'))
      .map((path) => read(path)),
  ])
}
