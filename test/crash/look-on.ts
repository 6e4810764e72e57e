import type { AnyResource } from '../../src/api/resources.ts'
import type { Outside } from '../../src/app.ts'
import type { ClusterOutside } from '../../src/cluster.ts'
import { keyOf } from '../../src/core/keys.ts'
import { phaseOf } from '../../src/core/operation.ts'
import type { Connector, Session } from '../../src/ports/connector.ts'
import type { RecordStore } from '../../src/ports/record-store.ts'
import type { ResourceStore } from '../../src/ports/resource-store.ts'
import { nameOf } from '../../src/simulator/command.ts'

/** `during` is an upload of which half has been sent. */
export type When = 'before' | 'during' | 'after'
/** Told of every write and of every command; until it resolves, nothing goes on. */
export type Notice = (when: When, name: string, nth: number) => Promise<void>

type Around = <T>(name: string, act: () => Promise<T>, counter?: string) => Promise<T>

/** Names every write to the state and every command to a device, and tells of each before and after. */
export function lookOn(outside: Outside, notice: Notice): Outside {
  const around = createAround(notice)
  const { store } = outside
  return {
    ...watchedOutside(outside, around, notice),
    store: {
      ...watchedStore(store, around),
      apply: (manifest) => around(`apply ${manifest.kind}`, () => store.apply(manifest)),
    },
  }
}

/** The same where others write what is declared. */
export const lookOnCluster = (outside: ClusterOutside, notice: Notice): ClusterOutside =>
  watchedOutside(outside, createAround(notice), notice)

function createAround(notice: Notice): Around {
  const counts = new Map<string, number>()
  const next = (counter: string): number => {
    const nth = (counts.get(counter) ?? 0) + 1
    counts.set(counter, nth)
    return nth
  }
  return async (name, act, counter = name) => {
    await notice('before', name, next(`before ${counter}`))
    const result = await act()
    // What failed, as a write that lost a race does, has no afterwards.
    await notice('after', name, next(`after ${counter}`))
    return result
  }
}

const watchedOutside = (
  { store, records, connector }: ClusterOutside,
  around: Around,
  notice: Notice,
): ClusterOutside => ({
  store: watchedStore(store, around),
  records: watchedRecords(records, around),
  connector: watchedConnector(connector, around, notice),
})

const watchedStore = (store: ResourceStore, around: Around): ResourceStore => ({
  get: (kind, key) => store.get(kind, key),
  list: (kind, options) => store.list(kind, options),
  follow: (options) => store.follow(options),
  create: (manifest) => around(`create ${manifest.kind}`, () => store.create(manifest)),
  setFinalizers: (object, finalizers) =>
    around(`finalizers of ${object.kind}`, () => store.setFinalizers(object, finalizers)),
  delete: (kind, key, options) => around(`delete ${kind}`, () => store.delete(kind, key, options)),
  saveStatus: async (object) => {
    const before = await store.get(object.kind, keyOf(object))
    return around(nameOfSave(before, object), () => store.saveStatus(object))
  },
})

const watchedRecords = (records: RecordStore, around: Around): RecordStore => ({
  get: (name) => records.get(name),
  list: (prefix) => records.list(prefix),
  put: (name, value) => around('put record', () => records.put(name, value)),
  delete: (name) => around('delete record', () => records.delete(name)),
})

function nameOfSave(before: AnyResource | undefined, object: AnyResource): string {
  if (object.kind === 'Device' && before?.kind === 'Device') {
    const [old, now] = [before.status.operationRef?.name, object.status.operationRef?.name]
    if (old !== now) return now === undefined ? 'free' : 'claim'
  }
  if (object.kind === 'UpgradeOperation' && before?.kind === 'UpgradeOperation') {
    if (phaseOf(before) !== phaseOf(object)) return `phase ${phaseOf(object)}`
  }
  return `status of ${object.kind}`
}

/** Commands are counted for each device. */
const watchedConnector = (connector: Connector, around: Around, notice: Notice): Connector => ({
  knock: (target, limitMs, signal) => connector.knock(target, limitMs, signal),
  connect: async (target, deadlineMs, signal) => {
    const session = await connector.connect(target, deadlineMs, signal)
    return watchedSession(session, around, notice)
  },
})

const watchedSession = (session: Session, around: Around, notice: Notice): Session => ({
  address: session.address,
  hostKeys: session.hostKeys,
  close: () => session.close(),
  exec: (command, options, signal) => {
    const name = nameOf(command) ?? 'unknown'
    return around(name, () => session.exec(command, options, signal), `${name} on ${session.address}`)
  },
  upload: (command, content, options, signal) => {
    const half = toldAtHalf(content, options.sizeBytes, () => notice('during', 'upload', 1))
    return around(
      'upload',
      () => session.upload(command, half, options, signal),
      `upload on ${session.address}`,
    )
  },
})

async function* toldAtHalf(
  content: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  tell: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let sentBytes = 0
  let told = false
  for await (const chunk of content) {
    yield chunk
    sentBytes += chunk.length
    if (told || sentBytes * 2 < sizeBytes) continue
    told = true
    await tell()
  }
}
