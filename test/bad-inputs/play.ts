import { runDirectory, type Ending } from '../../src/app.ts'
import { apiDefaults, defaults, readConfig } from '../../src/config.ts'
import type { Fleet } from '../../src/controllers/fleet.ts'
import { sourceErrorAnnotation } from '../../src/core/annotations.ts'
import type { FleetEvent } from '../../src/ports/event-sink.ts'
import type { Router } from '../../src/simulator/router.ts'
import { cliResult } from '../support/cli-call.ts'
import { until } from '../support/until.ts'
import type { GoodFleet } from './good-fleet.ts'

const limitMs = 20_000

/** What became of a bad input, in each of the ways in which it can come in. */
export interface Played {
  validation: { code: number; stdout: string; stderr: string }
  /** Warnings and failures while it came in, and after a restart. */
  warnings: string[]
  restarted: { warnings: string[]; ending: Ending } | undefined
  bugs: unknown[]
  /** Whether the other device, released in the same revision, got its upgrade. */
  otherStarts: number
  starts: number
  /** Specs in force, by kind and name: before, after, and after a restart. */
  specs: [before: Specs, after: Specs, restarted: Specs]
  /** Why an object is not what its file says, by kind and name. */
  marks: Record<string, string>
}
type Specs = Record<string, unknown>

const kinds = ['Category', 'Build', 'FirmwareImage', 'Device', 'UpgradePolicy'] as const

export const startsOf = ({ history }: Router): number =>
  history.filter(({ type }) => type === 'FlashStarted').length

/** Every object with the spec in force. */
function specsOf(fleet: Fleet): Specs {
  const objects = kinds.flatMap((kind) => [...fleet.all(kind)])
  return Object.fromEntries(
    objects.map(({ kind, metadata, spec }) => [`${kind}/${metadata.name}`, spec]).toSorted(),
  ) as Specs
}

function marksOf(fleet: Fleet): Record<string, string> {
  const objects = kinds.flatMap((kind) => [...fleet.all(kind)])
  return Object.fromEntries(
    objects.flatMap(({ kind, metadata }) => {
      const mark = metadata.annotations?.[sourceErrorAnnotation]
      return mark === undefined ? [] : [[`${kind}/${metadata.name}`, mark]]
    }),
  )
}

interface Running {
  /** Of the API, once it is served. */
  url(): string | undefined
  fleet(): Fleet | undefined
  warnings: string[]
  bugs: unknown[]
  stop(): void
  ending: Promise<Ending>
}

/** The real controller over the real directory and state file, and routers of the simulator. */
export function startRun(
  good: Pick<GoodFleet, 'directory' | 'state' | 'connector'>,
  { once, listen = 'none' }: { once: boolean; listen?: string },
): Running {
  const stop = new AbortController()
  const [warnings, bugs]: [string[], unknown[]] = [[], []]
  let fleet: Fleet | undefined
  let url: string | undefined
  const flags = { ...defaults, ...apiDefaults, listen, state: good.state, maxStartsPerMinute: '10000' }
  const emit = (event: FleetEvent): void => {
    if (event.type === 'Warning' || (event.type === 'Phase' && event.failureClass))
      warnings.push(event.message)
    if (event.type === 'Bug') bugs.push(event.error)
  }
  const ending = runDirectory(readConfig(good.directory, flags, {}), {
    once,
    events: { emit },
    signal: stop.signal,
    version: '0.0.0',
    onFleet: (read) => (fleet = read),
    onListening: (at) => (url = at),
    decorate: (outside) => ({ ...outside, connector: good.connector }),
  })
  return { url: () => url, fleet: () => fleet, warnings, bugs, stop: () => stop.abort(), ending }
}

/**
 * Lets a bad input come in three times: by `reflash validate`, into a directory that is being followed, and as what a
 * restart finds.
 */
export async function play(
  good: GoodFleet,
  spoil: (good: GoodFleet) => Promise<unknown>,
  arrived: (played: { warnings: string[]; fleet: Fleet }) => boolean,
  { reachesOther = true, restarts = true } = {},
): Promise<Played> {
  const run = startRun(good, { once: false })
  const waitFor = async (what: string, condition: (fleet: Fleet) => boolean): Promise<void> => {
    const ended = run.ending.then((ending) => Promise.reject(new Error(`ended: ${JSON.stringify(ending)}`)))
    const seen = until(what, () => run.fleet() && condition(run.fleet()!), limitMs)
    await Promise.race([seen, ended]).catch((error: Error) => {
      throw new Error(`${error.message}; it said:\n${run.warnings.join('\n')}`, { cause: error })
    })
  }
  await waitFor(
    'both devices are known',
    (fleet) =>
      [...fleet.all('Device')].filter(({ status }) => status.lastProbeTime !== undefined).length === 2,
  )
  const before = specsOf(run.fleet()!)
  await spoil(good)
  if (reachesOther) await good.releaseOther()
  const validating = cliResult(['validate', good.directory])
  await waitFor('the bad input has come in', (fleet) => arrived({ warnings: run.warnings, fleet }))
  if (reachesOther)
    await waitFor('the other device is upgraded', (fleet) =>
      [...fleet.all('UpgradeOperation')].some(({ status }) => status.phase === 'Succeeded'),
    )
  const after = specsOf(run.fleet()!)
  const marks = marksOf(run.fleet()!)
  run.stop()
  await run.ending
  const again = restarts ? startRun(good, { once: true }) : undefined
  const ending = await again?.ending
  return {
    validation: await validating,
    warnings: run.warnings,
    restarted: again && { warnings: again.warnings, ending: ending! },
    bugs: [...run.bugs, ...(again?.bugs ?? [])],
    otherStarts: startsOf(good.other),
    starts: startsOf(good.subject),
    specs: [before, after, again ? specsOf(again.fleet()!) : after],
    marks,
  }
}
