/** Whatever pauses, clocks and networks do: two never lead at once, and in the end one does. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { electionTimes } from '../../src/core/election.ts'
import {
  createElectionWorld,
  prompt,
  refused,
  silent,
  unheard,
  type Candidacy,
  type Fate,
  type Rival,
} from '../support/election-world.ts'

/** `REFLASH_SEEDS=5000 REFLASH_SEED=7` runs more worlds, or the same again. */
const runs = Number(process.env['REFLASH_SEEDS'] ?? 150)
const seed = process.env['REFLASH_SEED']
const { durationMs, renewDeadlineMs } = electionTimes
/** What is sent may be stored so much later, long after its sender gave up on it. */
const latestWriteMs = 12_000

type Trouble =
  | { kind: 'Pause'; who: number; afterMs: number; forMs: number }
  | { kind: 'CutOff'; who: number; afterMs: number; forMs: number; fate: Fate }
  | { kind: 'Restart'; who: number; afterMs: number; drainMs: number; forMs: number }

const who = fc.nat(2)
const afterMs = fc.nat(8000)
const forMs = fc.oneof(fc.nat(3000), fc.nat(40_000))
const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  fc.record({ kind: fc.constant('Pause' as const), who, afterMs, forMs }),
  fc.record({
    kind: fc.constant('CutOff' as const),
    who,
    afterMs,
    forMs,
    fate: fc.constantFrom(refused, silent, unheard),
  }),
  fc.record({
    kind: fc.constant('Restart' as const),
    who,
    afterMs,
    drainMs: fc.nat(12_000),
    forMs: fc.nat(5000),
  }),
)

/** What the worlds together have to have seen, or they prove nothing. */
const covered = { acts: 0, terms: 0, losses: 0, releases: 0, wokenLeaders: 0, lateWrites: 0 }

interface Stood {
  rival: Rival
  candidacy: Candidacy
}

async function runWorld(seed: number, rivals: number, troubles: readonly Trouble[]): Promise<void> {
  const world = createElectionWorld(seed)
  const { clock, random } = world
  const everybody: Stood[] = []
  /** By place: who stands there now. */
  const places: Stood[] = []
  const wrong: string[] = []
  let isHealthy = false
  const networks = random.fork('networks')
  const cutOff = new Map<Rival, Fate>()

  const fate = (rival: Rival): Fate => {
    if (isHealthy) return prompt
    const cut = cutOff.get(rival)
    if (cut) return cut
    const [thereMs, backMs] = [networks.integer(1, 200), networks.integer(1, 200)]
    const luck = networks()
    if (luck < 0.05) return { thereMs, backMs: Infinity }
    if (luck < 0.1) return { thereMs: Infinity, backMs: Infinity }
    if (luck > 0.1 + 0.1) return { thereMs, backMs }
    covered.lateWrites += 1
    return { thereMs: networks.integer(1000, latestWriteMs), backMs }
  }
  const leads = ({ rival }: Stood): boolean => rival.heard.at(-1)?.isLeader === true
  /** One leads: then nobody else does, unless it is paused and has had no time to learn of it. */
  const expectAlone = (one: Rival): void => {
    const others = everybody.filter((other) => other.rival !== one && leads(other))
    for (const { rival } of others) {
      if (rival.process.isPaused()) continue
      wrong.push(`${clock.monotonic()} ms: ${one.identity} leads beside ${rival.identity}`)
    }
  }
  const stand = (place: number, drainMs: number): void => {
    const rival = world.rival(`candidate-${place}-${everybody.length}`)
    rival.fate = () => fate(rival)
    rival.elector.onChange(({ isLeader }) => {
      if (isLeader) expectAlone(rival)
      // By the time that it is told to others, the work has been told.
      else if (candidacy.signal && candidacy.outcome === undefined)
        expect(candidacy.signal.aborted).toBe(true)
    })
    const act = (): void => {
      covered.acts += 1
      expectAlone(rival)
    }
    const candidacy = rival.stand({ drainMs, actMs: 170, act })
    const stood = { rival, candidacy }
    everybody.push(stood)
    places[place] = stood
  }
  const happen = (event: Trouble): void => {
    const place = event.who % rivals
    const { rival, candidacy } = places[place]!
    switch (event.kind) {
      case 'Pause':
        if (rival.process.isPaused()) return
        if (leads(places[place]!) && event.forMs > renewDeadlineMs) covered.wokenLeaders += 1
        rival.process.pause()
        clock.after(event.forMs, () => rival.process.resume())
        return
      case 'CutOff':
        cutOff.set(rival, event.fate)
        clock.after(event.forMs, () => cutOff.delete(rival))
        return
      case 'Restart':
        candidacy.stop()
        clock.after(event.forMs, () => stand(place, event.drainMs))
    }
  }

  for (let place = 0; place < rivals; place += 1) stand(place, 0)
  for (const event of troubles) {
    await clock.advance(event.afterMs)
    happen(event)
  }
  // What is still to come of the troubles comes meanwhile.
  await clock.advance(45_000)
  isHealthy = true
  await clock.advance(latestWriteMs + durationMs + renewDeadlineMs)

  expect(wrong).toEqual([])
  for (const { rival, candidacy } of everybody) {
    expect(candidacy.outcome).not.toBeInstanceOf(Error)
    covered.terms += rival.heard.filter(({ isLeader }) => isLeader).length > 0 ? 1 : 0
    if (candidacy.outcome === 'Lost') covered.losses += 1
    if (candidacy.outcome === 'Stopped' && candidacy.signal) covered.releases += 1
  }
  // Whoever lost has ended, as its process would have.
  const willing = everybody.filter(({ candidacy }) => candidacy.outcome === undefined)
  const leaders = willing.filter(leads).map(({ rival }) => rival.identity)
  if (willing.length > 0) expect(leaders).toEqual([world.lease().holderIdentity])
}

test('nobody ever acts beside another leader, and one leads when all is well', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.constantFrom(2, 3),
      fc.array(trouble, { minLength: 1, maxLength: 30 }),
      runWorld,
    ),
    { numRuns: runs, ...(seed === undefined ? {} : { seed: Number(seed) }) },
  )
  expect(covered.acts).toBeGreaterThan(runs * 100)
  expect(covered.terms).toBeGreaterThan(runs)
  expect(covered.losses).toBeGreaterThan(runs / 3)
  expect(covered.releases).toBeGreaterThan(runs / 5)
  expect(covered.wokenLeaders).toBeGreaterThan(runs / 30)
  expect(covered.lateWrites).toBeGreaterThan(runs)
})
