/** What operators do to a world, at any time. */
import type { ManualClock } from '../../src/adapters/clock/manual-clock.ts'
import type { SeededRandom } from '../../src/adapters/clock/random.ts'
import { kinds } from '../../src/api/kinds.ts'
import type {
  AnyResource,
  Build,
  Device,
  Kind,
  Manifest,
  UpgradeOperation,
  UpgradePolicy,
} from '../../src/api/resources.ts'
import type { DeclaredStore } from '../../src/ports/resource-store.ts'
import { declare } from '../../src/simulator/manifest.ts'
import type { Router } from '../../src/simulator/router.ts'
import { dayMs, hourMs, minuteMs } from './past.ts'

export interface Hands {
  store: DeclaredStore
  clock: ManualClock
  random: SeededRandom
  routers: readonly Router[]
  setHalted: (halted: boolean) => void
  jump: (ms: number) => void
  /** The name of the one that is meant; any of them unless it is given. */
  device?: string
}

const namespace = 'default'

type PolicySpec = UpgradePolicy['spec']

/** Changes the policy, if there is one just now. */
export async function edit(
  { store }: Hands,
  change: Partial<PolicySpec> | ((spec: PolicySpec) => Partial<PolicySpec>),
): Promise<void> {
  const policy = (await store.list('UpgradePolicy')).items.find(isThere)
  if (!policy) return
  const { spec } = policy
  await store.apply({
    ...policy,
    spec: { ...spec, ...(typeof change === 'function' ? change(spec) : change) },
  })
}

export async function aim(
  hands: Hands,
  choose: (builds: readonly Build[]) => Build | undefined,
): Promise<void> {
  const build = choose((await hands.store.list('Build')).items)
  if (!build) return
  const buildRef = { name: build.metadata.name }
  await edit(hands, ({ target }) => ({ target: { ...target, buildRef, allowDowngrade: true } }))
}

/** Nobody has taken it away. */
const isThere = ({ metadata }: AnyResource): boolean => metadata.deletionTimestamp === undefined

async function declareAgain(hands: Hands, change: (device: Device) => Device): Promise<void> {
  const device = await anyOf(hands, 'Device')
  if (device) await hands.store.apply(change(device))
}

/** One of them, of a router or of that which is meant. */
async function anyOf<K extends 'Device' | 'UpgradeOperation'>(hands: Hands, kind: K) {
  const { store, routers, device } = hands
  const names = new Set(device === undefined ? routers.map(({ name }) => name) : [device])
  const { items } = await store.list(kind)
  const meant = items.filter((item) => names.has(deviceNameOf(item)))
  return anyIn(hands, meant)
}

const anyIn = <T>({ random }: Hands, items: readonly T[]): T | undefined =>
  items.length === 0 ? undefined : random.pick(items)

const deviceNameOf = (object: Device | UpgradeOperation): string =>
  object.kind === 'Device' ? object.metadata.name : object.spec.deviceRef.name

export const isNewest = ({ spec }: Build): boolean => spec.version === '24.10.8'

/** Held, or not any more. */
export const holdOrRelease = ({ spec: { hold, ...spec }, ...device }: Device): Device => ({
  ...device,
  spec: hold ? spec : { ...spec, hold: { reason: 'somebody is there' } },
})

/** Out of the policy, or into it again. */
export function takeOutOrIn({ metadata, ...device }: Device): Device {
  const { labels = {} } = metadata
  const ring = labels['ring'] === 'out' ? 'in' : 'out'
  return { ...device, metadata: { ...metadata, labels: { ...labels, ring } } }
}

/** What is declared, as git holds it: of operations those that were written by hand. */
export async function declaredIn(store: DeclaredStore): Promise<AnyResource[]> {
  const lists = await Promise.all(kinds.map(({ kind }) => store.list(kind)))
  return lists
    .flatMap(({ items }): readonly AnyResource[] => items)
    .filter((object) => !object.metadata.deletionTimestamp && isDeclared(object))
}

const idOf = ({ kind, metadata }: AnyResource): string => `${kind}/${metadata.name}`

const isDeclared = (object: AnyResource): boolean =>
  object.kind !== 'UpgradeOperation' || object.spec.policyRef === undefined

/** Makes an object what it is declared to be; one that is on its way out of the store once it has gone, or after an hour. */
async function declareWhenGone({ store, clock }: Hands, object: AnyResource): Promise<void> {
  const stored = (): Promise<AnyResource | undefined> => store.get(object.kind, object.metadata)
  for (let tries = 0; tries < 60 && (await stored())?.metadata.deletionTimestamp; tries += 1)
    await clock.sleep(minuteMs)
  const { labels, name, namespace, finalizers } = object.metadata
  const metadata = { name, namespace, ...(labels && { labels }), ...(finalizers && { finalizers }) }
  await store.apply({ ...object, metadata } as Manifest<Kind>)
}

/** Deletes an object, and brings it back when it has gone: what git does when a commit is reverted. */
async function deleteAndReturn(hands: Hands, object: AnyResource, afterMs: number): Promise<void> {
  const { store, clock } = hands
  await store.delete(object.kind, object.metadata)
  await clock.sleep(afterMs)
  await declareWhenGone(hands, object)
}

/** Short enough to come back in the midst of things, or longer. */
const whileMs = (random: SeededRandom): number => random.integer(1, random.pick([10_000, 10 * minuteMs]))

async function forAWhile(hands: Hands, state: 'Pause' | 'Abort' | 'Plan'): Promise<void> {
  await edit(hands, { state })
  await hands.clock.sleep(whileMs(hands.random))
  await edit(hands, { state: 'Run' })
}

const acts = {
  limits: async (hands) => {
    const [maxConcurrent, startsPerMinute] = [hands.random.integer(1, 8), hands.random.integer(1, 10)]
    await edit(hands, ({ limits }) => ({ limits: { ...limits, maxConcurrent, startsPerMinute } }))
  },
  pause: (hands) => forAWhile(hands, 'Pause'),
  abort: (hands) => forAWhile(hands, 'Abort'),
  plan: (hands) => forAWhile(hands, 'Plan'),
  halt: async ({ setHalted, clock, random }) => {
    setHalted(true)
    await clock.sleep(whileMs(random))
    setHalted(false)
  },
  retry: (hands) => edit(hands, { retryToken: `token-${hands.random.integer(0, 1e9)}` }),
  rollBack: (hands) =>
    aim(hands, (builds) =>
      anyIn(
        hands,
        builds.filter((build) => !isNewest(build)),
      ),
    ),
  rollForward: (hands) => aim(hands, (builds) => builds.find(isNewest)),
  recall: async (hands) => {
    const build = anyIn(hands, (await hands.store.list('Build')).items.filter(isThere))
    if (!build) return
    const isRecalled = build.spec.lifecycle === 'Recalled'
    await hands.store.apply({
      ...build,
      spec: { ...build.spec, lifecycle: isRecalled ? 'Active' : 'Recalled', reason: 'it was found wanting' },
    })
  },
  removeDevice: async (hands) => {
    const device = await anyOf(hands, 'Device')
    if (device && isThere(device))
      await deleteAndReturn(hands, device, hands.random.integer(0, hands.random.pick([1000, hourMs])))
  },
  withdraw: async (hands) => {
    const kind = hands.random.pick(['Category', 'Build', 'FirmwareImage', 'UpgradePolicy'] as const)
    const object = anyIn(hands, (await hands.store.list(kind)).items.filter(isThere))
    if (object) await deleteAndReturn(hands, object, whileMs(hands.random))
  },
  relabel: (hands) => declareAgain(hands, takeOutOrIn),
  hold: (hands) => declareAgain(hands, holdOrRelease),
  acceptKeys: (hands) =>
    declareAgain(hands, (device) => {
      const router = hands.routers.find(({ name }) => name === device.metadata.name)!
      return { ...device, spec: { ...device.spec, hostKeys: router.state.hostKeys.map(({ line }) => line) } }
    }),
  cancel: async (hands) => {
    const operation = await anyOf(hands, 'UpgradeOperation')
    if (operation) await hands.store.apply({ ...operation, spec: { ...operation.spec, cancel: true } })
  },
  byHand: async (hands) => {
    const device = await anyOf(hands, 'Device')
    if (!device) return
    const { store, random } = hands
    const build = anyIn(hands, (await store.list('Build')).items)
    if (!build) return
    const name = `by-hand-${random.integer(0, 1e9)}`
    const { manifest } = declare('UpgradeOperation', name, {
      deviceRef: { name: device.metadata.name },
      buildRef: { name: build.metadata.name },
    })
    await store.apply(manifest)
    if (!random.chance(1 / 3)) return
    await hands.clock.sleep(random.integer(0, 10 * minuteMs))
    await store.delete('UpgradeOperation', { namespace, name })
  },
  pullPlug: async ({ random, routers }) => random.pick(routers).powerCycle(),
  jump: async ({ random, jump }) => jump(random.pick([1000, hourMs, 3650 * dayMs]) * random.pick([1, -1])),
} satisfies Record<string, (hands: Hands) => Promise<void>>

export type ActName = keyof typeof acts
export const actNames = Object.keys(acts) as ActName[]

export interface Operator {
  /** How often each act was done. */
  done: ReadonlyMap<ActName, number>
  /** Does it to a device, or to any of them. */
  do(name: ActName, device?: string): void
  /** Declares this and nothing else, whatever else the store may know of. */
  declare(objects: readonly AnyResource[]): Promise<void>
  /** Does nothing more but what brings back what was taken away; resolves when that is done. */
  rest(): Promise<void>
}

/** Who goes on for ever leaves nothing to be looked at. */
const mostActs = 20

/** Begins to act, about every so often, each act in its own time. */
export function createOperator(
  hands: Hands,
  { acts: names, everyMs }: { acts: readonly ActName[]; everyMs: number },
  onAct: (name: ActName) => void,
): Operator {
  const done = new Map<ActName, number>()
  const underWay = new Set<Promise<void>>()
  let isOver = false
  let count = 0

  function next(): void {
    if (names.length === 0 || isOver || count === mostActs) return
    hands.clock.after(hands.random.integer(0, 2 * everyMs), () => {
      if (isOver) return
      count += 1
      act(hands.random.pick(names))
      next()
    })
  }
  function act(name: ActName, device?: string): void {
    done.set(name, (done.get(name) ?? 0) + 1)
    onAct(name)
    track(acts[name](device === undefined ? hands : { ...hands, device }))
  }
  function track(doing: Promise<void>): void {
    underWay.add(doing)
    void doing.finally(() => underWay.delete(doing))
  }
  next()
  return {
    done,
    do: act,
    async declare(objects) {
      const ids = new Set(objects.map(idOf))
      for (const object of await declaredIn(hands.store))
        if (!ids.has(idOf(object))) await hands.store.delete(object.kind, object.metadata)
      for (const object of objects) track(declareWhenGone(hands, object))
      // Until all but those are declared that somebody has to let go of first.
      await hands.clock.advance(1)
    },
    async rest() {
      isOver = true
      while (underWay.size > 0) await hands.clock.advance(minuteMs)
    },
  }
}
