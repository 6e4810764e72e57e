/** What is judged otherwise when an older state was put back: what nobody can know any more, and nothing else. */
import { describe, expect, test } from 'vitest'
import {
  at,
  booted,
  died,
  happened,
  other,
  past,
  started,
  stem,
  write,
  type Forged,
  type Row,
} from './forged-past.ts'
import { judgeHistory } from './history.ts'
import { judgePast } from './invariants.ts'
import type { Past, PutBack } from './past.ts'

const putBack = (forged: Forged, { ofMs = 0, ...older }: Partial<PutBack> & Omit<PutBack, 'ofMs'>): void => {
  forged.putBack = { ofMs, ...older }
}
/** Of the four writes of the upgrade it knows so many, when it is over. */
const knowing = (forged: Forged, writesKnown: number): void =>
  putBack(forged, { writesKnown, writesMade: 4, atMs: 102_000 })

const again = { operation: `${stem}-2` }
const another = { operation: 'ap-1-x-1', sha256: other }
const fault = (atMs: number, kind: 'ConfigLost' | 'OtherDevice' | 'NoFin') =>
  at(atMs, { type: 'Fault', kind })

/** Another operation takes the place of the first one in the marker, before that one comes again. */
const startedBetween = (forged: Forged): void =>
  happened(
    forged,
    started(110_000, another, 'boot-1'),
    booted(150_000, 'boot-2'),
    started(210_000, again, 'boot-2'),
  )
/** One device is lost, and after it the other one is told to start at 9,500 ms. */
const lost = (forged: Forged, atMs: number): void =>
  void forged.writes.unshift(
    write(0, { operation: 'ap-2-1', device: 'ap-2', phase: 'Connecting' }),
    write(atMs, { operation: 'ap-2-1', device: 'ap-2', phase: 'Failed', failureClass: 'Lost' }),
  )
const acknowledged = (forged: Forged, atMs: number): void =>
  void forged.acknowledged.push({ atMs, date: '2026-03-01' })

type Case = Row & { of: string }

const violated: Case[] = [
  {
    of: 'I2',
    says: 'a second flash, when the router itself tells of the first one',
    forge: (f) => {
      happened(f, started(110_000, again, 'boot-1'))
      knowing(f, 1)
    },
  },
  {
    of: 'I2',
    says: 'a second flash, when the state tells of the first one',
    forge: (f) => {
      startedBetween(f)
      knowing(f, 2)
    },
  },
  {
    of: 'I2',
    says: 'a second flash, when both were after the older state',
    forge: (f) => {
      startedBetween(f)
      putBack(f, { writesKnown: 1, writesMade: 1, atMs: 2000 })
    },
  },
  {
    of: 'I2',
    says: 'a second flash, which was over when the older state was put back',
    forge: (f) => {
      startedBetween(f)
      putBack(f, { writesKnown: 1, writesMade: 4, atMs: 900_000 })
    },
  },
  ...[110_000, 115_000].map((atMs) => ({
    of: 'I2',
    says: `a second flash of a router that lost its marker at ${atMs} ms, with it or later`,
    forge: (f: Forged) => {
      happened(f, started(110_000, again, 'boot-1'), fault(atMs, 'ConfigLost'))
      knowing(f, 1)
    },
  })),
  {
    of: 'I2',
    says: 'a second flash of a router that had lost its marker before the first one',
    forge: (f) => {
      happened(f, fault(9999, 'ConfigLost'), started(110_000, again, 'boot-1'))
      knowing(f, 1)
    },
  },
  {
    of: 'I2',
    says: 'a second flash of a router to which something else had happened',
    forge: (f) => {
      happened(f, fault(105_000, 'NoFin'), started(110_000, again, 'boot-1'))
      knowing(f, 1)
    },
  },
  {
    of: 'I2',
    says: 'a second flash, when no state has ever told of the first one',
    forge: (f) => {
      startedBetween(f)
      f.writes[1]!.phase = 'Testing'
      knowing(f, 1)
    },
  },
  {
    of: 'I4',
    says: 'a second start in one boot, when the state tells of the first one',
    forge: (f) => {
      happened(f, died(12_000), started(20_000))
      putBack(f, { writesKnown: 2, writesMade: 3, atMs: 15_000 })
    },
  },
  {
    of: 'I4',
    says: 'a second start in one boot, which was over when the older state was put back',
    forge: (f) => {
      happened(f, died(12_000), started(20_000))
      putBack(f, { writesKnown: 1, writesMade: 3, atMs: 25_000 })
    },
  },
  {
    of: 'I4',
    says: 'a second start in one boot, when it is forgotten that nothing had come of the first one, which is known',
    forge: (f) => {
      happened(f, died(12_000), started(20_000))
      f.writes.splice(2, 0, write(14_000, {}))
      putBack(f, { writesKnown: 2, writesMade: 3, atMs: 15_000 })
    },
  },
  ...[15_000, 20_000].map((atMs) => ({
    of: 'I4',
    says: `a second start in one boot, when the first one was made at ${atMs} ms by an intent that is forgotten`,
    forge: (f: Forged) => {
      f.routers[0]!.history = f.routers[0]!.history.slice(0, 1)
      happened(f, started(atMs), died(25_000), started(30_000))
      putBack(f, { writesKnown: 1, writesMade: 4, atMs: 15_000 })
    },
  })),
  {
    of: 'I6',
    says: 'one in flight that is known, and another',
    forge: (f) => {
      f.writes.splice(2, 0, write(10_000, { operation: 'ap-2-1', device: 'ap-2', phase: 'Connecting' }))
      putBack(f, { writesKnown: 1, writesMade: 2, atMs: 9800 })
    },
  },
  {
    of: 'I10',
    says: 'a start that is known, taken back',
    forge: (f) => {
      f.writes.splice(3, 1, write(50_000, {}))
      putBack(f, { writesKnown: 2, writesMade: 3, atMs: 15_000 })
    },
  },
  {
    of: 'I10',
    says: 'a start that was known then, taken back before that was forgotten',
    forge: (f) => {
      f.writes.splice(3, 1, write(50_000, {}))
      putBack(f, { writesKnown: 1, writesMade: 4, atMs: 60_000 })
    },
  },
  {
    of: 'I11',
    says: 'an end that is known, and something after it',
    forge: (f) => {
      f.writes.push(write(103_000, { phase: 'Uploading' }))
      knowing(f, 4)
    },
  },
  {
    of: 'I11',
    says: 'a phase that could not be, and was forgotten',
    forge: (f) => {
      f.writes[1]!.phase = 'Verifying'
      knowing(f, 1)
    },
  },
  {
    of: 'I12',
    says: 'a start after losses that are known',
    forge: (f) => {
      lost(f, 800)
      putBack(f, { ofMs: 850, writesKnown: 2, writesMade: 2, atMs: 900 })
    },
  },
  {
    of: 'I12',
    says: 'a start after losses that were forgotten later',
    forge: (f) => {
      lost(f, 800)
      putBack(f, { ofMs: 500, writesKnown: 1, writesMade: 5, atMs: 20_000 })
    },
  },
  {
    of: 'I12',
    says: 'a start after losses of which it is forgotten that they were acknowledged',
    forge: (f) => {
      lost(f, 800)
      acknowledged(f, 849)
      putBack(f, { ofMs: 820, writesKnown: 2, writesMade: 2, atMs: 850 })
    },
  },
  {
    of: 'I12',
    says: 'a start right after a state was put back that knows of the losses',
    forge: (f) => {
      lost(f, 800)
      putBack(f, { ofMs: 850, writesKnown: 2, writesMade: 2, atMs: 9000 })
    },
  },
]

const allowed: Case[] = [
  {
    of: 'I2',
    says: 'a second flash, when neither the state nor the router tells of the first one',
    forge: (f) => {
      startedBetween(f)
      knowing(f, 1)
    },
  },
  {
    of: 'I2',
    says: 'a second flash at the moment when the older state is put back',
    forge: (f) => {
      startedBetween(f)
      putBack(f, { writesKnown: 1, writesMade: 4, atMs: 210_000 })
    },
  },
  ...(
    [
      ['ConfigLost', 105_000],
      ['OtherDevice', 10_000],
    ] as const
  ).map(([kind, atMs]) => ({
    of: 'I2',
    says: `a second flash of a router that has lost its marker: ${kind}`,
    forge: (f: Forged) => {
      happened(f, fault(atMs, kind), started(110_000, again, 'boot-1'))
      knowing(f, 1)
    },
  })),
  {
    of: 'I2',
    says: 'a second flash by hand, after another one by hand whose name differs by a number',
    forge: (f) => {
      happened(
        f,
        started(110_000, { ...again, sha256: other }, 'boot-1'),
        booted(150_000, 'boot-2'),
        started(210_000, {}, 'boot-2'),
      )
      f.writes.push(write(109_000, { ...again, phase: 'Flashing' }))
      for (const each of f.writes) delete each.policy
      putBack(f, { writesKnown: 1, writesMade: 5, atMs: 205_000 })
    },
  },
  {
    of: 'I4',
    says: 'a second start in one boot, after one that came to nothing, which nobody can know',
    forge: (f) => {
      happened(f, died(12_000), started(20_000))
      putBack(f, { writesKnown: 1, writesMade: 3, atMs: 15_000 })
    },
  },
  {
    of: 'I6',
    says: 'one in flight that is forgotten, and another',
    forge: (f) => {
      f.writes.splice(2, 2, write(10_000, { operation: 'ap-2-1', device: 'ap-2', phase: 'Connecting' }))
      putBack(f, { writesKnown: 0, writesMade: 2, atMs: 9800 })
    },
  },
  {
    of: 'I10',
    says: 'a start that is forgotten, taken back',
    forge: (f) => {
      f.writes.splice(3, 1, write(50_000, {}))
      putBack(f, { writesKnown: 1, writesMade: 3, atMs: 15_000 })
    },
  },
  {
    of: 'I11',
    says: 'an end that is forgotten, and the upgrade that goes on',
    forge: (f) => {
      f.writes.push(write(103_000, { phase: 'Uploading' }))
      knowing(f, 1)
    },
  },
  {
    of: 'I12',
    says: 'a start after losses that are forgotten',
    forge: (f) => {
      lost(f, 800)
      putBack(f, { ofMs: 500, writesKnown: 1, writesMade: 2, atMs: 900 })
    },
  },
  {
    of: 'I12',
    says: 'a start after losses of which it is known that they were acknowledged',
    forge: (f) => {
      lost(f, 800)
      acknowledged(f, 820)
      putBack(f, { ofMs: 820, writesKnown: 2, writesMade: 2, atMs: 850 })
    },
  },
  {
    of: 'I12',
    says: 'a start after losses that are acknowledged once more',
    forge: (f) => {
      lost(f, 800)
      acknowledged(f, 850)
      acknowledged(f, 1000)
      putBack(f, { ofMs: 820, writesKnown: 2, writesMade: 2, atMs: 900 })
    },
  },
]

const found = (forge: Row['forge']): string[] => {
  const forged = past()
  forge(forged)
  return judgePast(forged as Past)
}

describe('an older state was put back', () => {
  test.each(violated)('$of: $says', ({ of, forge }) => {
    const all = found(forge)
    expect(all.map((text) => text.split(' ', 1)[0])).toContain(of)
    // Also what both states know of is told once.
    expect(new Set(all).size).toBe(all.length)
  })

  test.each(allowed)('not $of: $says', ({ of, forge }) => {
    expect(found(forge).filter((text) => text.startsWith(`${of} `))).toEqual([])
  })

  test('the history of a device is what is known of it', () => {
    const lostIts = (writesKnown: number): string[] => {
      const forged = past()
      forged.rest.operations = []
      forged.putBack = { ofMs: 0, writesKnown, writesMade: 4, atMs: 102_000 }
      return [...judgeHistory(forged as Past)]
    }
    expect(lostIts(3)).toEqual([])
    expect(lostIts(4)).toEqual([`history: ap-1 has lost its latest operation, ${stem}-1`])
  })
})
