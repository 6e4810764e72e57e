import type { Kind, Manifest } from '../../api/resources.ts'
import { byPriority } from '../../core/admit.ts'
import { endpoint } from '../../core/endpoint.ts'
import { matchesSelector } from '../../core/selector.ts'
import { byPlace, type Diagnostic, finding, inFile } from './diagnostic.ts'
import { type DeclaredObject, placeIn, type Revision } from './revision.ts'

/** An object with the place where it is declared. */
type Of<K extends Kind> = DeclaredObject & { manifest: Manifest<K> }

/**
 * Checks what is right by itself and contradicts something else: devices at one address, policies of equal priority for
 * one device, and policies that select nothing. Pure. Objects that are refused anyway are left out.
 */
export function checkConflicts(revision: Revision): Diagnostic[] {
  const devices = declaredOf(revision, 'Device')
  const policies = declaredOf(revision, 'UpgradePolicy')
  return [
    ...sharedAddresses(devices),
    ...equalPriorities(devices, policies),
    ...(lacksDevices(revision)
      ? []
      : emptySelections(
          devices,
          policies.filter((policy) => hasCategory(revision, policy)),
        )),
  ].sort(byPlace)
}

function declaredOf<K extends Kind>({ objects }: Revision, kind: K): Of<K>[] {
  const isOfKind = (object: DeclaredObject): object is Of<K> => object.manifest.kind === kind
  return [...objects.values()]
    .filter(isOfKind)
    .filter(({ staleBecause }) => staleBecause === undefined)
    .toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line))
}

const lacksDevices = ({ broken, spoiled }: Revision): boolean =>
  broken.size > 0 || [...spoiled.keys()].some((id) => id.startsWith('Device/'))

/** One that nobody declares has been told already. */
const hasCategory = ({ objects }: Revision, { manifest }: Of<'UpgradePolicy'>): boolean =>
  objects.has(`Category/${manifest.metadata.namespace}/${manifest.spec.categoryRef.name}`)

/** Where an object is declared, for people who look at another one. */
const seenAt = ({ manifest, file, line }: DeclaredObject): string =>
  `${manifest.kind} ${manifest.metadata.name} (${file}:${line})`

const conflict = (object: DeclaredObject, path: string, message: string): Diagnostic =>
  inFile(object.file, finding('Conflict', message, placeIn(object, path)))

function* sharedAddresses(devices: readonly Of<'Device'>[]): Iterable<Diagnostic> {
  const first = new Map<string, DeclaredObject>()
  for (const device of devices) {
    const { addresses, port, jumpHost } = device.manifest.spec
    // Behind a jump host the same address can be another router.
    if (jumpHost) continue
    for (const address of new Set(addresses)) {
      const at = endpoint(device.manifest, address)
      const other = first.get(at)
      if (!other) first.set(at, device)
      else if (other !== device) {
        const message = `${address} port ${port} is that of ${seenAt(other)} as well, and neither is touched`
        yield conflict(device, 'spec.addresses', message)
      }
    }
  }
}

const selects = ({ manifest: policy }: Of<'UpgradePolicy'>, { manifest: device }: Of<'Device'>): boolean =>
  policy.metadata.namespace === device.metadata.namespace &&
  policy.spec.categoryRef.name === device.spec.categoryRef.name &&
  matchesSelector(policy.spec.selector, device.metadata.labels ?? {})

function equalPriorities(
  devices: readonly Of<'Device'>[],
  policies: readonly Of<'UpgradePolicy'>[],
): Diagnostic[] {
  const ranked = policies.toSorted((a, b) => byPriority(a.manifest, b.manifest))
  /** What a policy and the one before it both select, by the policy. */
  const shared = new Map<Of<'UpgradePolicy'>, { other: Of<'UpgradePolicy'>; devices: string[] }>()
  for (const device of devices) {
    const [first, second] = ranked.filter((policy) => selects(policy, device))
    if (!first || second?.manifest.spec.priority !== first.manifest.spec.priority) continue
    const known = shared.get(second)
    if (known?.other === first) known.devices.push(device.manifest.metadata.name)
    else shared.set(second, { other: first, devices: [device.manifest.metadata.name] })
  }
  return [...shared].map(([policy, { other, devices: names }]) => {
    const more = names.length - 1
    const which = `Device ${names[0]}${more === 0 ? '' : ` and ${more} more`}`
    const message = `must differ from that of ${seenAt(other)}: both select ${which}, and neither acts on ${more === 0 ? 'it' : 'them'}`
    return conflict(policy, 'spec.priority', message)
  })
}

/** A directory without any device is a part of one. */
const emptySelections = (
  devices: readonly Of<'Device'>[],
  policies: readonly Of<'UpgradePolicy'>[],
): Diagnostic[] =>
  policies
    .filter((policy) => devices.length > 0 && !devices.some((device) => selects(policy, device)))
    .map((policy) => {
      const message = `matches no Device of category ${policy.manifest.spec.categoryRef.name}`
      const found = finding('NotFound', message, placeIn(policy, 'spec.selector'))
      return inFile(policy.file, { ...found, severity: 'warning' })
    })
