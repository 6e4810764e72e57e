import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { builtPrograms, notBuilt } from './built-programs.ts'
import { makeCertificate } from './certificate.ts'
import { freePort } from './free-port.ts'
import { kubernetesRequests, type Answer, type RequestOptions } from './kubernetes-requests.ts'
import { startLoggedProcess, type LoggedProcess } from './logged-process.ts'
import { missingPrograms } from './programs.ts'
import { until } from './until.ts'

const etcds = builtPrograms('etcd')
const servers = builtPrograms('kube-apiserver')

/** What this machine lacks for an API server: for `unlessMissing`. */
export const missingApiServer = (): string[] => [
  ...notBuilt([...etcds, ...servers]),
  ...missingPrograms('setpriv', 'openssl'),
]

/** It takes a second or two; this is for a machine that does much else. */
const startLimitMs = 60_000

/** A kube-apiserver and its etcd, on loopback, with RBAC on. No controller manager runs: nobody collects garbage. */
export interface ApiServer {
  readonly url: string
  /** PEM of the authority that its certificate is from. */
  readonly ca: string
  /** A token of the group system:masters. */
  readonly adminToken: string
  /** A folder for the files of the test; it is removed at the end. */
  readonly folder: string
  /** Asks it, as the administrator unless there is a token. The path may have a query. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>
  /** Writes a kubeconfig for a token, and gives its path. */
  writeKubeconfig(token: string, namespace?: string): Promise<string>
  /** A token for an hour, of a service account that is there. */
  serviceAccountToken(namespace: string, name: string): Promise<string>
  /**
   * Stops serving, waits for what is done meanwhile, and serves the same data at the same address again. For a moment
   * it may answer 429 for our kinds, which it learns of after it is ready.
   */
  restart(meanwhile?: () => Promise<void>): Promise<void>
  stop(): Promise<void>
}

/** Starts one that is ready. @throws Error with the end of a log. Needs what `missingApiServer` looks for. */
export async function startApiServer(): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'reflash-kube-'))
  const port = await freePort()
  const url = `https://127.0.0.1:${port}`
  const adminToken = randomBytes(16).toString('hex')
  await writeKeys(folder, adminToken)
  const { cert } = await makeCertificate(folder)
  const ca = await readFile(cert, 'utf8')
  const requests = kubernetesRequests(url, ca, adminToken)
  const etcd = startLoggedProcess(etcds[0]!.path, etcdFlags(folder), join(folder, 'etcd.log'))

  const startServing = (): LoggedProcess =>
    startLoggedProcess(servers[0]!.path, serverFlags(folder, port), join(folder, 'kube-apiserver.log'))
  let serving = startServing()
  const isReady = async (): Promise<boolean> => {
    etcd.assertRunning()
    serving.assertRunning()
    // The namespace is made some time after the server calls itself ready.
    for (const path of ['/readyz', '/api/v1/namespaces/default']) {
      // It does not listen yet.
      const answer = await requests.send('GET', path).catch(() => undefined)
      if (answer?.status !== 200) return false
    }
    return true
  }
  const ready = () => until('an API server that is ready', isReady, startLimitMs)
  const stop = async (): Promise<void> => {
    await requests.close()
    await serving.stop()
    await etcd.stop()
    await rm(folder, { recursive: true, force: true })
  }

  try {
    await ready()
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url,
    ca,
    adminToken,
    folder,
    request: (...asked) => requests.send(...asked),
    writeKubeconfig: async (token, namespace = 'default') => {
      const path = join(folder, `kubeconfig-${randomBytes(4).toString('hex')}`)
      await writeFile(path, stringify(kubeconfig({ url, ca, token, namespace })), { mode: 0o600 })
      return path
    },
    serviceAccountToken: async (namespace, name) => {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`
      const { status, body } = await requests.send('POST', path, { body: tokenRequest })
      if (status !== 201) throw new Error(`no token for ${namespace}/${name}: ${JSON.stringify(body)}`)
      return (body as { status: { token: string } }).status.token
    },
    restart: async (meanwhile) => {
      await serving.stop()
      await meanwhile?.()
      serving = startServing()
      await ready()
    },
    stop,
  }
}

/** Who the administrator is, and what service accounts are signed with. */
async function writeKeys(folder: string, adminToken: string): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const files = {
    'tokens.csv': `${adminToken},admin,admin,system:masters\n`,
    'service-accounts.pub': publicKey,
    'service-accounts.key': privateKey,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 })
}

const etcdFlags = (folder: string): string[] => [
  `--data-dir=${folder}/etcd`,
  '--unsafe-no-fsync',
  '--log-level=warn',
  `--listen-client-urls=unix://${folder}/etcd.sock`,
  // It has to advertise a port, which nobody asks for.
  '--advertise-client-urls=http://127.0.0.1:1',
  '--listen-peer-urls=http://127.0.0.1:0',
]

const serverFlags = (folder: string, port: number): string[] => [
  `--etcd-servers=unix://${folder}/etcd.sock`,
  `--tls-cert-file=${folder}/cert.pem`,
  `--tls-private-key-file=${folder}/key.pem`,
  '--bind-address=127.0.0.1',
  '--advertise-address=127.0.0.1',
  `--secure-port=${port}`,
  '--service-cluster-ip-range=10.0.0.0/24',
  '--authorization-mode=RBAC',
  `--token-auth-file=${folder}/tokens.csv`,
  `--service-account-issuer=https://127.0.0.1:${port}`,
  `--service-account-key-file=${folder}/service-accounts.pub`,
  `--service-account-signing-key-file=${folder}/service-accounts.key`,
  // It would wait for a default service account, which nobody makes.
  '--disable-admission-plugins=ServiceAccount',
  '--endpoint-reconciler-type=none',
  '--allow-privileged=true',
]

const tokenRequest = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenRequest',
  spec: { expirationSeconds: 3600 },
}

interface Access {
  url: string
  ca: string
  token: string
  namespace: string
}

const kubeconfig = ({ url, ca, token, namespace }: Access): object => ({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'test',
  contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
  clusters: [
    {
      name: 'test',
      cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') },
    },
  ],
  users: [{ name: 'test', user: { token } }],
})
