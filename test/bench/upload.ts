import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSshConnector } from '../../src/adapters/ssh/connector.ts'
import type { Connector, Target } from '../../src/ports/connector.ts'
import { dropbearPrograms, type RunningServer, startDropbear, userKeys } from '../support/ssh-servers.ts'
import { atMost, type Bench, type Finding } from './bench.ts'

const sizeBytes = 32 * 1024 * 1024
const chunkBytes = 64 * 1024
const rounds = 5
const maxRatio = 1.3
/**
 * dropbear of OpenWrt up to 23.05.2, and since. The old one does no strict key exchange, so we never use ChaCha with it;
 * a connector that has not met the device yet does the same.
 */
const eras = [
  { windowBytes: 24 * 1024, remembers: false },
  { windowBytes: 256 * 1024, remembers: true },
]

const chunks = async function* (image: Buffer) {
  for (let start = 0; start < image.length; start += chunkBytes)
    yield image.subarray(start, start + chunkBytes)
}

const timed = async (work: () => Promise<void>): Promise<number> => {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

/** Login and upload, as scp does both. */
const uploadOurs = async (connector: Connector, server: RunningServer, image: Buffer): Promise<void> => {
  const { signal } = new AbortController()
  const target: Target = {
    addresses: ['127.0.0.1'],
    port: server.port,
    credentials: { username: 'root', privateKey: userKeys.ed25519.private },
    hostKeys: server.hostKeys,
    acceptNewHostKeys: false,
    urgent: false,
    legacyAlgorithms: false,
  }
  const session = await connector.connect(target, 10_000, signal)
  const command = ['sh', '-c', `cat > ${server.home}/ours`]
  const { code } = await session.upload(command, chunks(image), { deadlineMs: 120_000, sizeBytes }, signal)
  if (code !== 0) throw new Error(`upload ended with ${code}`)
  await session.close()
}

const uploadByScp = async (server: RunningServer, file: string): Promise<void> => {
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'Compression=no',
  ]
  const key = join(server.home, 'user-key')
  const args = ['-O', '-P', `${server.port}`, '-i', key, ...options.flatMap((option) => ['-o', option])]
  execFileSync('scp', [...args, file, `root@127.0.0.1:${server.home}/theirs`])
}

/** The fastest round: what else the machine does can only slow one down. */
const best = (values: readonly number[]): number => Math.min(...values)

const compare = async ({ windowBytes, remembers }: (typeof eras)[number]): Promise<Finding> => {
  const server = await startDropbear({ windowBytes })
  const connectors = remembers ? [createSshConnector({ clock: systemClock })] : []
  try {
    const image = randomBytes(sizeBytes)
    const file = join(server.home, 'image')
    writeFileSync(file, image)
    writeFileSync(join(server.home, 'user-key'), userKeys.ed25519.private, { mode: 0o600 })
    const ours: number[] = []
    const theirs: number[] = []
    // By turns, so that a busy machine slows both.
    for (let round = 0; round <= rounds; round++) {
      const connector = connectors[0] ?? createSshConnector({ clock: systemClock })
      const oursMs = await timed(() => uploadOurs(connector, server, image))
      const theirsMs = await timed(() => uploadByScp(server, file))
      // The first round warms both up.
      if (round > 0) ours.push(oursMs)
      if (round > 0) theirs.push(theirsMs)
      rmSync(join(server.home, 'ours'))
    }
    const ratio = best(ours) / best(theirs)
    const times = `ours ${best(ours).toFixed(0)} ms, scp -O ${best(theirs).toFixed(0)} ms`
    const text = `window ${windowBytes / 1024} KiB: ${times}, ratio ${ratio.toFixed(2)}`
    return atMost(text, ratio, maxRatio)
  } finally {
    await server.kill()
  }
}

/** Login included, beside OpenSSH's scp in the same run. */
export const uploadBench: Bench = {
  title: `${sizeBytes / 2 ** 20} MiB to dropbear on the loopback, best of ${rounds} rounds by turns`,
  needs: [...dropbearPrograms, 'scp'],
  run: async () => {
    const findings: Finding[] = []
    for (const era of eras) findings.push(await compare(era))
    return findings
  },
}
