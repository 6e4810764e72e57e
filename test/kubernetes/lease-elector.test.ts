/** Leader election in virtual time, over a network that loses what a test wants it to lose. */
import { describe, expect, test } from 'vitest'
import { electionTimes, type ElectionTimes } from '../../src/core/election.ts'
import {
  createElectionWorld,
  prompt,
  refused,
  silent,
  unheard,
  type Candidacy,
  type ElectionWorld,
  type Rival,
} from '../support/election-world.ts'
import { refusal } from '../support/events-api.ts'

const { durationMs, renewDeadlineMs } = electionTimes
/** Two retries of the slowest candidate. */
const soonMs = 5000

/** One that leads, and one that waits. */
async function setUp(
  options: { drainMs?: number } = {},
): Promise<ElectionWorld & { leader: Rival; leading: Candidacy; standby: Rival; standing: Candidacy }> {
  const world = createElectionWorld()
  const [leader, standby] = [world.rival('leader'), world.rival('standby')]
  const leading = leader.stand(options)
  await world.clock.advance(100)
  const standing = standby.stand()
  await world.clock.advance(100)
  expect(leader.elector.standing()).toMatchObject({ isLeader: true, holder: 'leader', transitions: 0 })
  expect(standby.elector.standing()).toMatchObject({ isLeader: false, holder: 'leader', transitions: 0 })
  return { ...world, leader, leading, standby, standing }
}

/** How often a second is asked at most, in any ten seconds. */
const requestsPerSecond = ({ requests }: Rival): number =>
  Math.max(
    ...requests.map(({ at }) => requests.filter((one) => one.at >= at && one.at < at + 10_000).length),
  ) / 10

describe('a leader', () => {
  test('renews for as long as it leads, while the other looks on', async () => {
    const { clock, lease, leader, leading, standby, standing } = await setUp()
    const { acquireTime } = lease()
    await clock.advance(600_000)
    expect(leading.signal!.aborted).toBe(false)
    expect(standing.signal).toBeUndefined()
    expect(lease()).toMatchObject({
      holderIdentity: 'leader',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      acquireTime,
    })
    const heldMs = Date.parse(lease().renewTime!) - Date.parse(acquireTime!)
    expect(heldMs).toBeGreaterThan(600_000 - 2400)
    expect(standby.requests.every(({ method }) => method === 'GET')).toBe(true)
    // One more at the start: the write that acquires.
    for (const rival of [leader, standby]) expect(requestsPerSecond(rival)).toBeLessThanOrEqual(0.6)
    expect(leader.heard.map(({ isLeader }) => isLeader)).toEqual([true])
    expect(standby.heard.map(({ holder }) => holder)).toEqual(['leader'])
  })

  test('gives back what it leads with when it is stopped, and the other takes that at its next look', async () => {
    const { clock, lease, leading, standby, standing } = await setUp()
    leading.stop()
    await clock.advance(100)
    expect(leading.outcome).toBe('Stopped')
    expect(lease()).toMatchObject({ holderIdentity: '', leaseTransitions: 0 })
    await clock.advance(2400)
    expect(standing.signal!.aborted).toBe(false)
    expect(lease()).toMatchObject({ holderIdentity: 'standby', leaseTransitions: 1 })
    expect(standby.elector.standing()).toMatchObject({ isLeader: true, transitions: 1 })
  })

  test('says that it leads no more before others can lead', async () => {
    const { clock, leader, leading, standing } = await setUp()
    leader.fate = () => unheard
    leading.stop()
    await clock.runUntil(() => standing.signal !== undefined, 3000)
    expect(leading.outcome).toBeUndefined()
    expect(leader.heard.at(-1)).toMatchObject({ isLeader: false })
  })

  test('holds on until its work has ended', async () => {
    const { clock, lease, leading, standing } = await setUp({ drainMs: 30_000 })
    leading.stop()
    await clock.advance(29_000)
    expect(leading.signal!.aborted).toBe(true)
    expect(leading.outcome).toBeUndefined()
    expect(lease().holderIdentity).toBe('leader')
    expect(standing.signal).toBeUndefined()
    await clock.advance(3600)
    expect(leading.outcome).toBe('Stopped')
    expect(standing.signal!.aborted).toBe(false)
  })

  test('has lost when its time runs out while its work ends, and leaves the lease alone', async () => {
    const { clock, leader, leading, lease } = await setUp({ drainMs: 30_000 })
    leading.stop()
    leader.fate = () => refused
    await clock.advance(31_000)
    expect(leading.outcome).toBe('Lost')
    expect(lease().holderIdentity).toBe('standby')
  })

  test.each([
    ['refuses connections', refused],
    ['does not answer', silent],
    ['takes what it is sent, and answers nothing', unheard],
    ['only says that it cannot', { ...prompt, answer: refusal(500, 'InternalError', 'etcd') }],
    ['is asked too much', { ...prompt, answer: { status: 429, body: {}, retryAfterMs: 60_000 } }],
    ['forbids it', { ...prompt, answer: refusal(403, 'Forbidden', 'no') }],
    ['is no API server', { ...prompt, answer: { status: 200, body: '<html>' } }],
  ])('that cannot renew for ten seconds leads no more: the server %s', async (_name, fate) => {
    const { clock, leader, leading, standing, standby } = await setUp()
    await clock.runUntil(() => leader.requests.length > 5, 60_000)
    await clock.advance(100)
    leader.fate = () => fate
    const { renewedAt } = leader.elector.standing()
    const bootedAt = leader.process.clock.monotonic() - clock.monotonic()
    await clock.runUntil(() => leading.outcome !== undefined, 60_000)
    expect(leading.outcome).toBe('Lost')
    expect(leading.abortedAt).toBe(renewedAt! - bootedAt + renewDeadlineMs)
    expect(leading.signal!.reason).toMatchObject({
      code: 'ServerUnavailable',
      message: 'the lease default/reflash is lost: not renewed for 10 s',
      cause: leader.elector.standing().failure,
    })
    expect(leader.elector.standing()).toMatchObject({ isLeader: false, failure: expect.anything() })
    expect(leader.heard.map(({ isLeader }) => isLeader)).toEqual([true, true, false])
    expect(requestsPerSecond(leader)).toBeLessThanOrEqual(1)
    const asked = leader.requests.length
    await clock.runUntil(() => standing.signal !== undefined, 60_000)
    expect(leader.requests).toHaveLength(asked)
    expect(standby.elector.standing().transitions).toBe(1)
  })

  test.each([
    ['silent connection', silent],
    ['answer that was lost', unheard],
  ])('lives through one %s, and looks before it writes again', async (_name, fate) => {
    const { clock, leader, leading, lease } = await setUp()
    leader.fate = () => fate
    await clock.runUntil(() => leader.requests.length === 3, 3000)
    leader.fate = () => prompt
    const before = clock.monotonic()
    await clock.runUntil(() => leader.requests.length === 5, 10_000)
    // Half of the renew deadline for the request, and then at once.
    expect(clock.monotonic() - before).toBe(renewDeadlineMs / 2 + 10)
    expect(leader.requests.map(({ method }) => method)).toEqual(['GET', 'POST', 'PUT', 'GET', 'PUT'])
    await clock.advance(60_000)
    expect(leading.signal!.aborted).toBe(false)
    expect(lease()).toMatchObject({ holderIdentity: 'leader', leaseTransitions: 0 })
    expect(leader.elector.standing().failure).toBeUndefined()
  })

  test('counts its time from before a write was sent', async () => {
    const { clock, leader } = await setUp()
    leader.fate = () => ({ thereMs: 3000, backMs: 1500 })
    await clock.runUntil(() => leader.requests.length === 3, 3000)
    const sentAt = leader.process.clock.monotonic()
    await clock.advance(4500)
    expect(leader.elector.standing()).toMatchObject({ isLeader: true, renewedAt: sentAt })
  })

  test('that always comes too late to write leads no more', async () => {
    const { clock, leader, leading, leases, lease } = await setUp()
    leader.fate = ({ method }) => {
      if (method === 'PUT') leases.set('reflash', lease())
      return prompt
    }
    await clock.runUntil(() => leading.outcome !== undefined, 13_000)
    expect(leading.outcome).toBe('Lost')
    expect(requestsPerSecond(leader)).toBeLessThanOrEqual(1)
  })

  test('lives through somebody who labels the lease all the time', async () => {
    const { clock, leader, leading, leases, lease } = await setUp()
    leader.fate = ({ method }) => {
      if (method === 'PUT' && leader.requests.length % 3 > 0) leases.set('reflash', lease())
      return prompt
    }
    await clock.advance(60_000)
    expect(leading.signal!.aborted).toBe(false)
    expect(leader.requests.filter(({ method }) => method === 'GET').length).toBeGreaterThan(5)
    expect(requestsPerSecond(leader)).toBeLessThanOrEqual(1)
  })

  test('makes the lease anew when somebody deletes it, before anybody else does', async () => {
    const { clock, leader, leading, standing, leases, lease } = await setUp()
    const { acquireTime } = lease()
    leases.remove('reflash')
    await clock.advance(soonMs)
    expect(leading.signal!.aborted).toBe(false)
    expect(lease()).toMatchObject({ holderIdentity: 'leader', leaseTransitions: 0, acquireTime })
    await clock.advance(60_000)
    expect(standing.signal).toBeUndefined()
    expect(leader.heard).toHaveLength(1)
  })

  test.each([
    ['another name', 'somebody', ' to somebody'],
    ['no name', '', ': somebody gave it back'],
  ])('leads no more when the lease is given %s by hand', async (_name, holderIdentity, why) => {
    const { clock, leading, leases, lease, standing } = await setUp()
    standing.stop()
    leases.set('reflash', { ...lease(), holderIdentity })
    await clock.runUntil(() => leading.outcome !== undefined, 2500)
    expect(leading.outcome).toBe('Lost')
    expect(leading.signal!.reason).toMatchObject({ message: `the lease default/reflash is lost${why}` })
    expect(lease().holderIdentity).not.toBe('leader')
  })

  test('that was paused learns at its first look at the clock that it leads no more', async () => {
    const { clock, leader, leading, standing, lease } = await setUp()
    leader.process.pause()
    await clock.advance(60_000)
    expect(leading.signal!.aborted).toBe(false)
    expect(standing.signal!.aborted).toBe(false)
    expect(leader.elector.standing()).toMatchObject({ isLeader: false, holder: 'leader' })
    expect(leading.signal!.aborted).toBe(true)
    leader.process.resume()
    await clock.advance(0)
    expect(leading.outcome).toBe('Lost')
    expect(lease()).toMatchObject({ holderIdentity: 'standby', leaseTransitions: 1 })
  })

  test('that lost may stand again', async () => {
    const { clock, leader, leading, standing } = await setUp()
    leader.process.pause()
    await clock.advance(30_000)
    leader.process.resume()
    await clock.advance(100)
    expect(leading.outcome).toBe('Lost')
    const again = leader.stand()
    await clock.advance(60_000)
    expect(again.signal).toBeUndefined()
    standing.stop()
    await clock.advance(soonMs)
    expect(again.signal!.aborted).toBe(false)
  })
})

describe('a candidate', () => {
  test('that is not the first to write waits, and never works', async () => {
    const { clock, rival, leases } = createElectionWorld()
    const rivals = ['a', 'b', 'c'].map((name) => rival(name))
    const candidacies = rivals.map((one) => one.stand())
    await clock.advance(60_000)
    expect(rivals.map(({ requests }) => requests.filter(({ method }) => method === 'POST').length)).toEqual([
      1, 1, 1,
    ])
    expect(candidacies.map(({ signal }) => signal?.aborted)).toEqual([false, undefined, undefined])
    leases.set('reflash', { holderIdentity: '' })
    await clock.advance(60_000)
    expect(candidacies.filter(({ signal }) => signal?.aborted === false)).toHaveLength(1)
  })

  test('takes over when the lease has not changed for its duration, to the moment', async () => {
    const { clock, leader, standby, standing } = await setUp()
    leader.process.pause()
    const before = clock.monotonic()
    await clock.runUntil(() => standing.signal !== undefined, 60_000)
    // It saw the last change two retries later at most, and goes by that.
    const waitedMs = clock.monotonic() - before
    expect(waitedMs).toBeGreaterThan(durationMs - 2400)
    expect(waitedMs).toBeLessThan(durationMs + 100)
    expect(standby.elector.standing()).toMatchObject({ isLeader: true, transitions: 1 })
  })

  test('that comes new waits for a whole duration, whatever the times in the lease say', async () => {
    const { clock, leases, rival } = createElectionWorld()
    for (const renewTime of ['1999-01-01T00:00:00.000000Z', '2999-01-01T00:00:00.000000Z']) {
      leases.set('reflash', { holderIdentity: 'somebody', leaseDurationSeconds: 15, renewTime })
      const candidacy = rival(`after ${renewTime}`).stand()
      await clock.advance(durationMs)
      expect(candidacy.signal).toBeUndefined()
      await clock.advance(100)
      expect(candidacy.signal!.aborted).toBe(false)
      candidacy.stop()
      await clock.advance(100)
    }
  })

  test('leads by a write whose answer was lost, once it has seen it', async () => {
    const { clock, lease, ...world } = createElectionWorld()
    const rival = world.rival('only')
    let left = 1
    rival.fate = ({ method }) => (method === 'POST' && left-- > 0 ? unheard : prompt)
    const candidacy = rival.stand()
    await clock.advance(4000)
    expect(lease().holderIdentity).toBe('only')
    expect(rival.elector.standing().isLeader).toBe(false)
    await clock.advance(soonMs)
    expect(candidacy.signal!.aborted).toBe(false)
    expect(lease().leaseTransitions).toBe(0)
  })

  test('that is stopped while its write is under way gives back what that brings', async () => {
    const { clock, lease, ...world } = createElectionWorld()
    for (const fate of [{ thereMs: 1000, backMs: 1000 }, unheard]) {
      world.leases.remove('reflash')
      const rival = world.rival(`rival-${fate.thereMs}`)
      rival.fate = ({ method }) => (method === 'POST' ? fate : prompt)
      const candidacy = rival.stand()
      await clock.advance(200)
      candidacy.stop()
      await clock.advance(6000)
      expect(candidacy).toMatchObject({ outcome: 'Stopped', signal: undefined })
      expect(lease().holderIdentity).toBe('')
    }
  })

  test('that waits stops at once, and asks nothing more', async () => {
    const { clock, standby, standing } = await setUp()
    standing.stop()
    const asked = standby.requests.length
    await clock.advance(0)
    expect(standing).toMatchObject({ outcome: 'Stopped', signal: undefined })
    await clock.advance(60_000)
    expect(standby.requests).toHaveLength(asked)
  })

  test('whose write was paused for too long does not lead by it', async () => {
    const { clock, lease, ...world } = createElectionWorld()
    const [slow, quick] = [world.rival('slow'), world.rival('quick')]
    const candidacy = slow.stand()
    await clock.runUntil(() => world.leases.get('reflash') !== undefined, 1000)
    slow.process.pause()
    const other = quick.stand()
    await clock.advance(60_000)
    expect(other.signal!.aborted).toBe(false)
    slow.process.resume()
    await clock.advance(soonMs)
    expect(candidacy.signal).toBeUndefined()
    expect(lease().holderIdentity).toBe('quick')
  })

  test('says why it cannot stand, and leads when it can', async () => {
    const { clock, ...world } = createElectionWorld()
    const rival = world.rival('only')
    rival.fate = () => ({ ...prompt, answer: refusal(403, 'Forbidden', 'leases is forbidden') })
    const candidacy = rival.stand()
    await clock.advance(60_000)
    expect(rival.heard).toHaveLength(1)
    expect(rival.heard[0]).toMatchObject({
      isLeader: false,
      failure: { code: 'Forbidden', message: 'lease default/reflash: leases is forbidden' },
    })
    expect(requestsPerSecond(rival)).toBeLessThanOrEqual(0.5)
    rival.fate = () => prompt
    await clock.advance(soonMs)
    expect(candidacy.signal!.aborted).toBe(false)
    expect(rival.elector.standing().failure).toBeUndefined()
  })

  test('says so where there is no namespace to make the lease in', async () => {
    const { clock, ...world } = createElectionWorld()
    const rival = world.rival('only')
    const answer = refusal(404, 'NotFound', 'namespaces "default" not found')
    rival.fate = ({ method }) => (method === 'POST' ? { ...prompt, answer } : prompt)
    rival.stand()
    await clock.advance(soonMs)
    expect(rival.elector.standing().failure).toMatchObject({ code: 'NotFound' })
  })

  test('ends where waiting does not help', async () => {
    const { clock, ...world } = createElectionWorld()
    const rival = world.rival('only')
    rival.fate = ({ method }) =>
      method === 'POST' ? { ...prompt, answer: refusal(422, 'Invalid', 'bad name') } : prompt
    const candidacy = rival.stand()
    await clock.advance(100)
    expect(candidacy.outcome).toMatchObject({ code: 'Invalid', message: 'lease default/reflash: bad name' })
  })

  test('stands once at a time', async () => {
    const { leader } = await setUp()
    const twice = leader.elector.lead(async () => {}, new AbortController().signal)
    await expect(twice).rejects.toMatchObject({ code: 'Busy' })
  })

  test.each<[string, string, Partial<ElectionTimes>]>([
    ['a candidate needs a name', '', {}],
    ['the lease duration must be longer', 'a', { durationMs: 1000 }],
    ['the renew deadline must be longer', 'a', { renewDeadlineMs: 1000 }],
  ])('is refused: %s', (message, identity, times) => {
    const { rival } = createElectionWorld()
    expect(() => rival(identity, times)).toThrow(
      expect.objectContaining({ code: 'Invalid', message: expect.stringContaining(message) }),
    )
  })
})
