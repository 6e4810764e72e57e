/**
 * State files that are damaged in every way a disk or a person can think of. Rows that decide a flash (claims, intents,
 * phases, what the governor counted, pins) are found damaged, or read as they were written; never anything else.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createRandom, type SeededRandom } from '../../src/adapters/clock/random.ts'
import { readState, type State, type StateSnapshot } from '../../src/adapters/sqlite/state.ts'
import type { Phase } from '../../src/api/resources.ts'
import { hasCode, messageOf } from '../../src/core/errors.ts'
import { recordFigure } from '../support/figures.ts'
import { playRounds } from '../support/rounds.ts'
import { makeStateFolder, type StateFolder } from '../support/state-folder.ts'
import { manifest } from '../support/toy-fleet.ts'

const pageBytes = 4096
const devices = 16
const phases: readonly Phase[] = ['Connecting', 'Checking', 'Uploading', 'Testing', 'Flashing', 'Rebooting']

let place: StateFolder
beforeEach(async () => {
  place = await makeStateFolder()
})
afterEach(() => place.remove())

/** The state file and its log, by the end of their names. */
type Files = Map<'' | '-wal', Buffer>
interface Harm {
  name: string
  /** Of a file in use, whose last changes are in its log. */
  inUse?: boolean
  /** A log that loses its end gives the whole state of an earlier commit, as a state file of an hour ago would. */
  mayForget?: boolean
  do: (files: Files, random: SeededRandom) => void
}

const page = (file: Buffer, number: number): Buffer =>
  file.subarray(number * pageBytes, (number + 1) * pageBytes)
const anyPage = (file: Buffer, random: SeededRandom): Buffer =>
  page(file, random.integer(0, file.length / pageBytes - 1))
const flip = (file: Buffer, at: number, random: SeededRandom): void => {
  file[at] = file[at]! ^ (1 << random.integer(0, 7))
}
const swap = (one: Buffer, other: Buffer): void => {
  const copy = Buffer.from(one)
  other.copy(one)
  copy.copy(other)
}
const garbage = (into: Buffer, random: SeededRandom): void => {
  for (let at = 0; at < into.length; at += 1) into[at] = random.integer(0, 255)
}
/** Of a log: its head, and frames of a head and a page each. */
const [logHeadBytes, frameBytes] = [32, 24 + pageBytes]
const frame = (log: Buffer, random: SeededRandom): Buffer => {
  const number = random.integer(0, Math.floor((log.length - logHeadBytes) / frameBytes) - 1)
  return log.subarray(logHeadBytes + number * frameBytes, logHeadBytes + (number + 1) * frameBytes)
}

const decides =
  /"operationRef":\{"name":"[^"]*|"(?:phase|bootIdBefore|identity|sha256|date|removedTime)":"[^"]*|"(?:maxUptime|attempts)":\d+|"acknowledged":\w+|lost\/op-\d+/g

const harms: readonly Harm[] = [
  {
    name: 'a bit of a value that decides',
    do: (files, random) => {
      const file = files.get('')!
      const match = random.pick([...file.toString('latin1').matchAll(decides)])
      flip(file, match.index + random.integer(0, match[0].length - 1), random)
    },
  },
  {
    name: 'a bit anywhere',
    do: (files, random) => flip(files.get('')!, random.integer(0, files.get('')!.length - 1), random),
  },
  {
    name: 'a bit in the head of a page',
    do: (files, random) => flip(anyPage(files.get('')!, random), random.integer(0, 150), random),
  },
  {
    name: 'a file cut off anywhere',
    do: (files, random) =>
      void files.set('', files.get('')!.subarray(0, random.integer(0, files.get('')!.length - 1))),
  },
  {
    name: 'a file cut off after a page',
    do: (files, random) => {
      const file = files.get('')!
      files.set('', file.subarray(0, pageBytes * random.integer(0, file.length / pageBytes - 1)))
    },
  },
  {
    name: 'two pages swapped',
    do: (files, random) => swap(anyPage(files.get('')!, random), anyPage(files.get('')!, random)),
  },
  {
    name: 'a page over another',
    do: (files, random) => void anyPage(files.get('')!, random).copy(anyPage(files.get('')!, random)),
  },
  { name: 'a page of zeros', do: (files, random) => void anyPage(files.get('')!, random).fill(0) },
  { name: 'a page of garbage', do: (files, random) => garbage(anyPage(files.get('')!, random), random) },
  { name: 'garbage', do: (files, random) => garbage(files.get('')!, random) },
  {
    name: 'garbage after the end',
    do: (files, random) => {
      const more = Buffer.alloc(random.integer(1, 2 * pageBytes))
      garbage(more, random)
      files.set('', Buffer.concat([files.get('')!, more]))
    },
  },
  {
    name: 'a bit of a file in use',
    inUse: true,
    do: (files, random) => flip(files.get('')!, random.integer(0, files.get('')!.length - 1), random),
  },
  { name: 'a file gone, its log left', inUse: true, do: (files) => void files.delete('') },
  {
    name: 'a bit of a log',
    inUse: true,
    mayForget: true,
    do: (files, random) => flip(files.get('-wal')!, random.integer(0, files.get('-wal')!.length - 1), random),
  },
  {
    name: 'a log cut off',
    inUse: true,
    mayForget: true,
    do: (files, random) =>
      void files.set(
        '-wal',
        files.get('-wal')!.subarray(0, random.integer(0, files.get('-wal')!.length - 1)),
      ),
  },
  {
    name: 'two frames of a log swapped',
    inUse: true,
    mayForget: true,
    do: (files, random) => swap(frame(files.get('-wal')!, random), frame(files.get('-wal')!, random)),
  },
  {
    name: 'a frame of garbage in a log',
    inUse: true,
    mayForget: true,
    do: (files, random) => garbage(frame(files.get('-wal')!, random), random),
  },
  { name: 'a log gone', inUse: true, mayForget: true, do: (files) => void files.delete('-wal') },
  { name: 'the index of a log gone', inUse: true, do: () => {} },
]

const textOf = ({ resources, records }: Pick<StateSnapshot, 'resources' | 'records'>): string =>
  JSON.stringify({ resources, records })

/** Devices with an operation each, on their way; `onCommit` hears of every commit of the second half. */
async function fill(): Promise<{ closed: Files; inUse: Files; history: Set<string> }> {
  const history = new Set<string>()
  const names = Array.from({ length: devices }, (_, index) => `op-${index}`)
  const read = async (): Promise<Files> => {
    const files: Files = new Map([['', await readFile(place.path)]])
    const log = await readFile(`${place.path}-wal`).catch(() => undefined)
    return log ? files.set('-wal', log) : files
  }
  const remember = async (): Promise<void> => void history.add(textOf(await readState(place.path)))

  const go = async (state: State, name: string, phase: Phase): Promise<void> => {
    const operation = await state.resources.get('UpgradeOperation', { namespace: 'default', name })
    const status = {
      phase,
      attempts: 1,
      bootIdBefore: `boot-of-${name}-${phase}`,
      maxUptime: 1000 + phases.indexOf(phase),
      image: { name: 'image', sha256: 'ab'.repeat(32), size: 1000 },
      log: [`${name} in ${phase}`],
    }
    await state.resources.saveStatus({ ...operation!, status })
  }
  const half = async (first: boolean): Promise<Files | undefined> => {
    const state = await place.open()
    if (!first) await remember()
    for (const name of names) {
      if (first) {
        const device = name.replace('op', 'ap')
        await state.resources.apply(
          manifest('Device', device, {
            categoryRef: { name: 'ap' },
            addresses: ['192.0.2.1'],
            credentialsRef: { name: 'routers' },
          }),
        )
        const declared = await state.resources.get('Device', { namespace: 'default', name: device })
        await state.resources.create(
          manifest('UpgradeOperation', name, { deviceRef: { name: device }, buildRef: { name: 'new' } }),
        )
        await state.resources.saveStatus({
          ...declared!,
          status: { operationRef: { name }, identity: `mac:${device}` },
        })
        await state.records.put(`lost/${name}`, { date: '2026-01-01', acknowledged: false })
      }
      for (const phase of first ? phases.slice(0, 3) : phases.slice(3)) {
        await go(state, name, phase)
        if (!first) await remember()
      }
      if (first) continue
      await state.records.put(`lost/${name}`, { date: '2026-01-01', acknowledged: true })
      await remember()
    }
    const files = first ? undefined : await read()
    await state.close()
    return files
  }
  await half(true)
  const inUse = (await half(false))!
  await remember()
  return { closed: await read(), inUse, history }
}

/** What a process that starts on these files makes of them. */
const outcome = async (files: Files): Promise<string> => {
  await rm(dirname(place.path), { recursive: true, force: true })
  await mkdir(dirname(place.path))
  for (const [suffix, bytes] of files) await writeFile(place.path + suffix, bytes)
  let state: State | undefined
  try {
    state = await place.open()
    // As the process reads it, and not as a snapshot.
    const declared = (await state.resources.list('Device')).items
    const operations = (await state.resources.list('UpgradeOperation')).items
    return textOf({ resources: [...declared, ...operations], records: await state.records.list('') })
  } catch (error) {
    expect(hasCode(error, 'StateCorrupt', 'StateUnusable'), messageOf(error)).toBe(true)
    return 'refused'
  } finally {
    await state?.close()
  }
}

it('whatever happens to a state file is found, or changes nothing', { timeout: 3_600_000 }, async () => {
  const { closed, inUse, history } = await fill()
  const latest = [...history].at(-1)!
  const random = createRandom('damage')
  const told = { refused: 0, unread: 0, forgotten: 0 }
  const wrong: string[] = []
  const damaged = await playRounds(400, async (round) => {
    const harm = harms[round % harms.length]!
    const intact = Array.from(harm.inUse ? inUse : closed)
    const files: Files = new Map(intact.map(([suffix, bytes]) => [suffix, Buffer.from(bytes)]))
    harm.do(files, random.fork(`${round}`))
    const result = await outcome(files)
    if (result === 'refused') told.refused += 1
    else if (result === latest) told.unread += 1
    else if (harm.mayForget && history.has(result)) told.forgotten += 1
    else wrong.push(`round ${round}, ${harm.name}`)
  })
  const figure = (name: string, value: number, goal?: string): void =>
    recordFigure({ suite: 'files', name, value, ...(goal && { goal }) })
  figure('files damaged', damaged)
  figure('damage refused at the start', told.refused)
  figure('damage in bytes that nobody reads', told.unread)
  figure('damaged ends of a log, read as the whole state of an earlier commit', told.forgotten)
  figure('damage read as something that was never written', wrong.length, '0')
  expect(wrong).toEqual([])
  expect(told.refused).toBeGreaterThan(damaged / 3)
})
