import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Elector, Standing } from '../../src/ports/elector.ts'

/** Work that goes on until its signal is aborted, and says when it began. */
function willing(): { work: (signal: AbortSignal) => Promise<void>; begun: Promise<AbortSignal> } {
  const { promise: begun, resolve: begin } = Promise.withResolvers<AbortSignal>()
  const work = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      begin(signal)
    })
  return { work, begun }
}

/** What every elector does that has no rival. */
export function electorContract(name: string, open: () => Elector): void {
  describe(name, () => {
    test('leads until it is stopped, and says so', async () => {
      const elector = open()
      expect(elector.standing()).toMatchObject({ isLeader: false, holder: undefined })
      const { work, begun } = willing()
      const stop = new AbortController()
      const led = elector.lead(work, stop.signal)
      const signal = await begun
      expect(signal.aborted).toBe(false)
      expect(elector.standing()).toMatchObject({ isLeader: true, holder: 'only', transitions: 0 })
      stop.abort(new Error('enough'))
      expect(signal.reason).toBe(stop.signal.reason)
      expect(await led).toBe('Stopped')
      expect(elector.standing()).toMatchObject({ isLeader: false, holder: undefined })
    })

    test('leads on until the work has ended', async () => {
      const elector = open()
      const stop = new AbortController()
      const drained = Promise.withResolvers<void>()
      const { work, begun } = willing()
      let isOver = false
      const led = elector
        .lead((signal) => work(signal).then(() => drained.promise), stop.signal)
        .finally(() => (isOver = true))
      await begun
      stop.abort()
      for (let turn = 0; turn < 10; turn += 1) await setImmediate()
      expect(isOver).toBe(false)
      expect(elector.standing().isLeader).toBe(true)
      drained.resolve()
      expect(await led).toBe('Stopped')
    })

    test('ends with work that ends by itself, and may lead again', async () => {
      const elector = open()
      const { signal } = new AbortController()
      let times = 0
      const work = async (): Promise<void> => void (times += 1)
      expect(await elector.lead(work, signal)).toBe('Stopped')
      expect(await elector.lead(work, signal)).toBe('Stopped')
      expect(times).toBe(2)
      expect(elector.standing().isLeader).toBe(false)
    })

    test('does not work when it is stopped before', async () => {
      const elector = open()
      let hasWorked = false
      const work = async (): Promise<void> => void (hasWorked = true)
      expect(await elector.lead(work, AbortSignal.abort())).toBe('Stopped')
      expect(hasWorked).toBe(false)
    })

    test('passes on what the work fails with', async () => {
      const elector = open()
      const bug = new Error('a bug')
      await expect(elector.lead(() => Promise.reject(bug), new AbortController().signal)).rejects.toBe(bug)
      expect(elector.standing().isLeader).toBe(false)
    })

    test('takes work that rejects with the reason of its signal as stopped', async () => {
      const elector = open()
      const stop = new AbortController()
      const { work, begun } = willing()
      const led = elector.lead((signal) => work(signal).then(() => signal.throwIfAborted()), stop.signal)
      await begun
      stop.abort()
      expect(await led).toBe('Stopped')
    })

    test('tells of changes until nobody wants to hear of them', async () => {
      const elector = open()
      const heard: Standing[] = []
      const end = elector.onChange((standing) => heard.push(standing))
      const lead = () => elector.lead(async () => {}, new AbortController().signal)
      await lead()
      expect(heard[0]).toMatchObject({ isLeader: true, holder: 'only' })
      expect(heard.slice(1).every(({ isLeader }) => !isLeader)).toBe(true)
      expect(heard.at(-1)).toMatchObject({ isLeader: false, holder: undefined })
      end()
      heard.length = 0
      await lead()
      expect(heard).toEqual([])
    })
  })
}
