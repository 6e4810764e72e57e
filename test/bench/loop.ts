import { createHash } from 'node:crypto'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { declare } from '../../src/simulator/manifest.ts'
import { describeRelease, knownReleases } from '../../src/simulator/release.ts'
import { type NamespaceRouter, routerPrograms, startRouter } from '../support/namespace-router.ts'
import { userKeys } from '../support/ssh-servers.ts'
import { type Bench, finding, type Finding, mebibytes, seconds, withFolder } from './bench.ts'
import { ungoverned } from './fleet.ts'
import { type Measured, measure, reflash } from './measure.ts'

const routers = 50
const width = 10
const imageBytes = 8 * 2 ** 20
const flashSeconds = 3
const rebootSeconds = 10
/** Of dropbear in OpenWrt since 23.05.2. */
const windowBytes = 256 * 1024
const maxPeakMiB = 150
/** A knock costs next to nothing, unlike a login: it can be tried more often than the loop tries that. */
const reconnectRetry = '250ms'
const board = 'tplink,archer-c7-v5'
const from = knownReleases['23.05.5']
const to = knownReleases['24.10.8']

/**
 * No two routers take equally long, on average as long as said: whoever looks once a second would else be lucky or not,
 * all day long.
 */
const downSeconds = (index: number): number =>
  flashSeconds + rebootSeconds + ((index % width) + 0.5) / width - 0.5

/** Starts so many routers at once: more only slows a small machine down. */
const startWidth = 5

/** What both contenders work with. */
interface Work {
  folder: string
  routers: readonly NamespaceRouter[]
  image: string
  sha256: string
  keyFile: string
}

/** Fresh routers for each contender, gone afterwards. */
const onRouters = <T>(contend: (work: Work) => Promise<T>): Promise<T> =>
  withFolder(async (folder) => {
    const started: NamespaceRouter[] = []
    try {
      let left = routers
      const starter = async (): Promise<void> => {
        while (left-- > 0) {
          const router = await startRouter({
            release: from,
            board,
            authorizedKeys: [userKeys.ed25519.public],
            // Its dropbear brings one along.
            programs: ['scp'],
            windowBytes,
          })
          // The link is gone at once and comes back when the flash is written and the system has booted.
          router.misbehave({ downSeconds: downSeconds(started.length) })
          started.push(router)
        }
      }
      await Promise.all(Array.from({ length: startWidth }, starter))
      const image = join(folder, 'image.bin')
      const firmware = makeFirmware({ ...to, boards: [board], sizeBytes: imageBytes })
      await writeFile(image, firmware)
      const sha256 = createHash('sha256').update(firmware).digest('hex')
      const keyFile = join(folder, 'key')
      await writeFile(keyFile, userKeys.ed25519.private, { mode: 0o600 })
      return await contend({ folder, routers: started, image, sha256, keyFile })
    } finally {
      await Promise.all(started.map((router) => router.stop()))
    }
  })

/** Every router once, and no other image. @throws Error when the work was not done. */
const judge = ({ routers: all, sha256 }: Work, measured: Measured): Measured => {
  const right = all.filter((router) => {
    const flashes = router.flashes()
    return flashes.length === 1 && flashes[0]!.sha256 === sha256 && router.release().revision === to.revision
  })
  if (measured.code === 0 && right.length === all.length) return measured
  const end = `${measured.stdout}\n${measured.stderr}`.split('\n').slice(-15).join('\n')
  throw new Error(`exit ${measured.code}, ${right.length} of ${all.length} routers upgraded: ${end}`)
}

/** The same work by hand: copy, compare, test, start detached, wait until it is back, read the release. */
const upgradeScript = `#!/bin/sh
# Arguments: address port
options="-i $KEY -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$KNOWN_HOSTS -o LogLevel=ERROR -o ConnectTimeout=1"
on() { ssh $options -p "$port" "root@$address" "$@" </dev/null; }
address=$1 port=$2
boot=$(on cat /proc/sys/kernel/random/boot_id) || exit 1
scp -O -q $options -P "$port" "$IMAGE" "root@$address:/tmp/firmware.bin" || exit 1
on "[ \\"\\$(sha256sum </tmp/firmware.bin)\\" = '$SHA256  -' ] && sysupgrade -T /tmp/firmware.bin &&
  start-stop-daemon -S -b -x /sbin/sysupgrade -- /tmp/firmware.bin" || exit 1
for try in $(seq 300); do
  sleep 1
  now=$(on 'cat /proc/sys/kernel/random/boot_id; . /etc/openwrt_release; echo "$DISTRIB_REVISION"' 2>/dev/null) || continue
  case "$now" in "$boot"*) continue;; esac
  case "$now" in *"$REVISION") exit 0;; esac
  echo "$address runs another release" >&2; exit 1
done
exit 1
`

const byShellLoop = async (work: Work): Promise<Measured> => {
  const { folder, image, sha256, keyFile } = work
  const script = join(folder, 'upgrade')
  await writeFile(script, upgradeScript)
  await chmod(script, 0o755)
  const list = join(folder, 'routers')
  await writeFile(list, work.routers.map(({ address, port }) => `${address} ${port}\n`).join(''))
  const settings = {
    KEY: keyFile,
    KNOWN_HOSTS: join(folder, 'known_hosts'),
    IMAGE: image,
    SHA256: sha256,
    REVISION: to.revision,
  }
  const environment = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  return judge(
    work,
    await measure(['env', ...environment, 'xargs', '-a', list, '-P', `${width}`, '-L', '1', script]),
  )
}

const build = 'access-points'
const secret = 'routers'

const byReflash = async (work: Work): Promise<Measured> => {
  const directory = join(work.folder, 'manifests')
  await mkdir(directory)
  const declared = [
    declare('Category', build, {}),
    declare('Build', build, {
      categoryRef: { name: build },
      version: to.version,
      osIdentifier: describeRelease(to),
    }),
    declare('FirmwareImage', build, { buildRef: { name: build }, source: { path: 'image.bin' } }),
    declare('UpgradePolicy', build, {
      categoryRef: { name: build },
      target: { buildRef: { name: build } },
      limits: { maxConcurrent: width, startsPerMinute: 10_000 },
      timeouts: { reconnectRetry },
    }),
    ...work.routers.map(({ address, port }, index) =>
      declare('Device', `ap-${index}`, {
        categoryRef: { name: build },
        addresses: [address],
        port,
        credentialsRef: { name: secret },
      }),
    ),
  ].map(({ written }) => written as object)
  const keys = { username: 'root', 'ssh-privatekey': userKeys.ed25519.private }
  declared.push({ apiVersion: 'v1', kind: 'Secret', metadata: { name: secret }, stringData: keys })
  const text = declared.map((object) => `${JSON.stringify(object)}\n`).join('---\n')
  await writeFile(join(directory, 'fleet.yaml'), text)
  const argv = reflash('run', directory, '--once', '--state', join(work.folder, 'state.db'), ...ungoverned)
  return judge(work, await measure([...argv, '--images', work.folder, '--log-format', 'json']))
}

/** One upload on an idle machine, as the loop does it. */
const uploadMs = async ({ folder, routers: [router], image, keyFile }: Work): Promise<number> => {
  const { address, port } = router!
  const options = [
    'StrictHostKeyChecking=accept-new',
    `UserKnownHostsFile=${join(folder, 'seen')}`,
    'LogLevel=ERROR',
  ]
  const args = ['-O', '-q', '-P', `${port}`, '-i', keyFile, ...options.flatMap((option) => ['-o', option])]
  const { code, wallMs, stderr } = await measure(['scp', ...args, image, `root@${address}:/tmp/idle.bin`])
  if (code !== 0) throw new Error(`scp ended with ${code}: ${stderr}`)
  await router!.run(['rm', '/tmp/idle.bin'])
  return wallMs
}

const run = async (): Promise<Finding[]> => {
  const { loop, upload } = await onRouters(async (work) => ({
    upload: await uploadMs(work),
    loop: await byShellLoop(work),
  }))
  const ours = await onRouters(byReflash)
  const idealMs = Math.ceil(routers / width) * (upload + 1000 * (flashSeconds + rebootSeconds))
  const row = (name: string, { wallMs, cpuMs, peakBytes }: Measured): Finding =>
    finding(
      `${name}: wall time ${seconds(wallMs)}, ${(wallMs / idealMs).toFixed(2)} times the ideal; CPU ${(cpuMs / routers / 1000).toFixed(3)} s a router; peak ${mebibytes(peakBytes)}`,
    )
  const peakMiB = Math.round(ours.peakBytes / 2 ** 20)
  return [
    finding(
      `ideal ${seconds(idealMs)}; one scp on an idle machine takes ${seconds(upload)}; reconnectRetry ${reconnectRetry}, the loop's sleep 1 s`,
    ),
    row('shell loop', loop),
    row('reflash run --once', ours),
    against('wall time', ours.wallMs, loop.wallMs),
    against('CPU', ours.cpuMs, loop.cpuMs),
    {
      text: `peak memory ${peakMiB} MiB`,
      goal: { text: `at most ${maxPeakMiB} MiB`, met: peakMiB <= maxPeakMiB },
    },
  ]
}

const against = (what: string, ours: number, theirs: number): Finding => ({
  text: `${what}: ${(ours / theirs).toFixed(2)} times that of the loop`,
  goal: { text: 'ahead of the loop', met: ours < theirs },
})

export const loopBench: Bench = {
  title: `${routers} dropbear routers, ${width} at once, ${imageBytes / 2 ** 20} MiB, flash ${flashSeconds} s, reboot ${rebootSeconds} s, beside xargs -P ${width} with scp and ssh`,
  needs: [...routerPrograms, 'scp', 'ssh', 'xargs'],
  run,
}
