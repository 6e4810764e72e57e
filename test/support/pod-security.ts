/**
 * The Pod Security Standard "restricted", as far as a Linux pod can break it
 * (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
 */

interface SecurityContext {
  privileged?: boolean
  allowPrivilegeEscalation?: boolean
  runAsNonRoot?: boolean
  runAsUser?: number
  capabilities?: { add?: string[]; drop?: string[] }
  seccompProfile?: { type: string }
  appArmorProfile?: { type: string }
  procMount?: string
  seLinuxOptions?: { type?: string; user?: string; role?: string }
  sysctls?: unknown[]
}

interface Container {
  name: string
  securityContext?: SecurityContext
  ports?: { name?: string; containerPort: number; hostPort?: number }[]
}

export interface PodSpec {
  hostNetwork?: boolean
  hostPID?: boolean
  hostIPC?: boolean
  securityContext?: SecurityContext
  containers: Container[]
  initContainers?: Container[]
  volumes?: { name: string; [source: string]: unknown }[]
}

const allowedVolumes = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]
const allowedProfiles = ['RuntimeDefault', 'Localhost']

/** What keeps a pod out of a namespace that enforces the standard; nothing where it may come in. */
export function restrictedProblems(pod: PodSpec): string[] {
  const problems: string[] = []
  const must = (holds: boolean, what: string): void => {
    if (!holds) problems.push(what)
  }
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC'] as const) must(!pod[name], `${name} is on`)
  must((pod.securityContext?.sysctls ?? []).length === 0, 'sysctls are set')
  for (const { name, ...source } of pod.volumes ?? []) {
    for (const kind of Object.keys(source))
      must(allowedVolumes.includes(kind), `volume ${name} is of kind ${kind}`)
  }
  for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
    problems.push(
      ...containerProblems(container, pod.securityContext ?? {}).map((what) => `${container.name}: ${what}`),
    )
  }
  return problems
}

function containerProblems({ securityContext: own = {}, ports = [] }: Container, ofPod: SecurityContext) {
  const context = { ...ofPod, ...own }
  const { type, user, role } = context.seLinuxOptions ?? {}
  const rules: [boolean, string][] = [
    [context.privileged !== true, 'privileged'],
    [own.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation is not false'],
    [context.runAsNonRoot === true, 'runAsNonRoot is not true'],
    [context.runAsUser !== 0, 'runs as root'],
    [own.capabilities?.drop?.includes('ALL') === true, 'does not drop ALL capabilities'],
    [(own.capabilities?.add ?? []).every((name) => name === 'NET_BIND_SERVICE'), 'adds capabilities'],
    [allowedProfiles.includes(context.seccompProfile?.type ?? ''), 'has no seccomp profile'],
    [context.appArmorProfile?.type !== 'Unconfined', 'is not confined by AppArmor'],
    [(context.procMount ?? 'Default') === 'Default', 'has another procMount'],
    [type === undefined && user === undefined && role === undefined, 'sets SELinux options'],
    [ports.every(({ hostPort }) => hostPort === undefined), 'has a port of the host'],
  ]
  return rules.filter(([holds]) => !holds).map(([, what]) => what)
}
