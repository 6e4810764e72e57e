/** Many starters at once, with arguments that try to break out: exactly one starts, and a wrong one never does. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createRandom, type SeededRandom } from '../../src/adapters/clock/random.ts'
import { ReflashError } from '../../src/core/errors.ts'
import { quoteCommand } from '../../src/core/shell-quote.ts'
import { makeFirmware } from '../../src/simulator/firmware.ts'
import { knownReleases } from '../../src/simulator/release.ts'
import { openwrtUpgrader } from '../../src/upgraders/openwrt/openwrt.ts'
import { scriptCommand, scripts } from '../../src/upgraders/openwrt/scripts.ts'
import { recordFigure } from '../support/figures.ts'
import { type NamespaceRouter, routerPrograms, startRouter } from '../support/namespace-router.ts'
import { requires } from '../support/requires.ts'
import { playRounds, secondsToPlay } from '../support/rounds.ts'
import { contextOf, jobOf, sessionOf, tokenOf } from '../support/router-session.ts'

const signal = new AbortController().signal
const image = makeFirmware({ version: '24.10.8', revision: 'r1', boards: ['tplink,archer-c7-v5'] })
const job = jobOf(image)
const leftBehind = '/rig/broken-out'

/** What a shell, a lock of two fields, and programs that look for options may stumble over. */
const hostileTexts = [
  '',
  ' ',
  'ap-17-0123abcd-1',
  "'",
  '"',
  `' ; touch ${leftBehind} ; '`,
  `$(touch ${leftBehind})`,
  `\`touch ${leftBehind}\``,
  `x; touch ${leftBehind}`,
  `x\ntouch ${leftBehind}\n`,
  '\n',
  'two words',
  // What these say last reads like the end of a lock.
  'op -1',
  '- -1',
  'op 0\nop -1',
  '-1 op',
  '-n',
  '-e',
  '--',
  '-T',
  '!',
  '(',
  ')',
  '=',
  '-a',
  '-o',
  '*',
  '/etc/*',
  '../../etc/passwd',
  '/tmp/reflash.lock.1',
  String.raw`\n\t\0`,
  String.raw`\c`,
  '%s%n',
  '${IFS}',
  '\u001b[2J',
  '\r',
  'é漢\u202e',
  'x'.repeat(255),
  'long '.repeat(20_000),
]
const wrongUptimes = ['', ' ', '-1', 'abc', '0x7fffffff', '1e9', '9'.repeat(40), '1 -o 1', '08x', '1\n999999']

/** The guard's arguments, by name. */
interface Order {
  operation: string
  bootId: string
  board: string
  revision: string
  sha256: string
  maxUptime: string
}
type Field = keyof Order

/** Which refusal a wrong value has to meet. */
const refusals: readonly (readonly [Field, number])[] = [
  ['bootId', 90],
  ['board', 91],
  ['revision', 92],
  ['maxUptime', 93],
  ['sha256', 95],
]

const commandOf = ({ operation, bootId, board, revision, sha256, maxUptime }: Order): string =>
  quoteCommand(scriptCommand('guard', [operation, bootId, board, revision, sha256, maxUptime]))

const clearingOf = ({ operation, bootId, maxUptime }: Order): string =>
  `${quoteCommand(scriptCommand('clear', [operation, bootId, maxUptime]))} </rig/clear.sh >/dev/null 2>&1 &`

/**
 * All at once, and with each, where it is asked for, somebody who would clear its start away. Says what each was answered,
 * and then how many sysupgrades were started in the end.
 */
const roundScript = (
  orders: readonly Order[],
  expectedStarts: number,
  cleared: readonly Order[],
): string => `cd /tmp
${orders.map((order, index) => `${commandOf(order)} </rig/guard.sh >/tmp/answer.${index} 2>&1 &`).join('\n')}
${cleared.map(clearingOf).join('\n')}
wait
for i in ${[...orders.keys()].join(' ')}; do tail -n 1 /tmp/answer.$i; done
tries=0
while [ "$(wc -l </rig/starts)" -lt ${expectedStarts} ] && [ $tries -lt 200 ]; do tries=$((tries + 1)); sleep 0.05; done
wc -l </rig/starts
`

interface Played {
  /** The last line that each starter was answered, in the order of the starters. */
  answers: string[]
  /** How many sysupgrades really got past their checks. */
  starts: number
}

requires(...routerPrograms)('rounds of starters on a real busybox', () => {
  const withRig = async (
    body: (rig: {
      router: NamespaceRouter
      right: Order
      play: (orders: readonly Order[], expected: number, cleared?: readonly Order[]) => Promise<Played>
      freeLock: () => Promise<void>
    }) => Promise<void>,
  ): Promise<void> => {
    const router = await startRouter({ release: knownReleases['23.05.5'] })
    try {
      const session = sessionOf(router)
      await openwrtUpgrader.upload(job, session, contextOf(image), signal)
      router.misbehave({ die: 'dead' })
      writeFileSync(join(router.root, 'rig/guard.sh'), scripts.guard)
      writeFileSync(join(router.root, 'rig/clear.sh'), scripts.clear)
      writeFileSync(join(router.root, 'rig/starts'), '')
      // The pgrep of the rig looks at each process in turn, which would take most of the time.
      writeFileSync(join(router.root, 'usr/bin/pgrep'), '#!/bin/sh\n[ -e /rig/upgrade-runs ]\n')
      const token = await tokenOf(session, signal, 100_000 + secondsToPlay())
      const right: Order = {
        operation: job.operation,
        bootId: token.bootId,
        board: token.board,
        revision: token.revision,
        sha256: job.image.sha256,
        maxUptime: String(token.maxUptimeSeconds),
      }
      const play = async (
        orders: readonly Order[],
        expected: number,
        cleared: readonly Order[] = [],
      ): Promise<Played> => {
        const before = router.starts()
        const { stdout, stderr } = await router.run(
          ['sh', '-s'],
          roundScript(orders, before + expected, cleared),
        )
        const lines = stdout.trim().split('\n')
        expect(lines.length, stderr).toBe(orders.length + 1)
        return { answers: lines.slice(0, -1), starts: Number(lines.at(-1)) - before }
      }
      const freeLock = async (): Promise<void> => {
        await router.run(['sh', '-c', 'rm -f /tmp/reflash.lock.*'])
      }
      await body({ router, right, play, freeLock })
      expect(existsSync(join(router.root, leftBehind)), 'an argument was run').toBe(false)
    } finally {
      await router.stop()
    }
  }

  const starters = (random: SeededRandom): number[] =>
    Array.from({ length: random.integer(4, 16) }, (_, k) => k)

  it(
    'have exactly one start each, whatever the operations are called',
    { timeout: 120_000 + 1000 * secondsToPlay() },
    () =>
      withRig(async ({ router, right, play, freeLock }) => {
        const random = createRandom('guard')
        const wrong: string[] = []
        const rounds = await playRounds(60, async (round) => {
          const orders = starters(random).map(() => ({ ...right, operation: random.pick(hostileTexts) }))
          // Some starters are wrong in a way that is seen before the lock, and leave it to the others.
          for (const order of orders.slice(1)) {
            if (!random.chance(0.2)) continue
            order[random.pick(['bootId', 'board', 'revision'] as const)] = random.pick(hostileTexts)
          }
          const { answers, starts } = await play(orders, 1)
          const said = answers.filter((answer) => answer === 'GUARD 0').length
          if (said !== 1 || starts !== 1)
            wrong.push(
              `round ${round}: ${said} said, ${starts} started: ${answers.join(', ')} ${JSON.stringify(orders.map(({ operation }) => operation.slice(0, 30)))}`,
            )
          await freeLock()
        })
        recordFigure({ suite: 'guard', name: 'rounds of 4 to 16 starters', value: rounds })
        recordFigure({
          suite: 'guard',
          name: 'rounds with other than one start',
          value: wrong.length,
          goal: '0',
        })
        expect(wrong).toEqual([])
        expect(router.starts()).toBe(rounds)
      }),
  )

  it('keep their lock, whoever would clear away a start that may still come', () =>
    withRig(async ({ router, right, play, freeLock }) => {
      const random = createRandom('clear')
      const rounds = 20
      for (let round = 0; round < rounds; round += 1) {
        const orders = starters(random).map(() => ({ ...right, operation: random.pick(hostileTexts) }))
        expect((await play(orders, 1)).starts, `round ${round}`).toBe(1)
        const { answers } = await play(orders, 0, orders)
        expect(new Set(answers), `round ${round}`).toEqual(new Set(['GUARD 94']))
        await freeLock()
      }
      expect(router.starts()).toBe(rounds)
    }))

  it.each(refusals)('refuse every wrong %s with %i', (field, code) =>
    withRig(async ({ right, play, freeLock }) => {
      const values =
        field === 'maxUptime' ? wrongUptimes : [...hostileTexts, `${right[field]} `, ` ${right[field]}`]
      const orders = values.map((value) => ({ ...right, [field]: value }))
      const { answers, starts } = await play(orders, 0)
      expect(starts).toBe(0)
      // Which image it is can only be told by who holds the lock.
      const told = answers.filter((answer) => !(field === 'sha256' && answer === 'GUARD 94'))
      expect(new Set(told)).toEqual(new Set([`GUARD ${code}`]))
      await freeLock()
      expect(await play([right], 1)).toEqual({ answers: ['GUARD 0'], starts: 1 })
    }),
  )

  it('start nothing while a start holds the lock, an upgrade runs, or the device refuses', () =>
    withRig(async ({ router, right, play, freeLock }) => {
      const all = starters(createRandom('refused')).map(() => right)
      const refused = async (code: number): Promise<void> => {
        const { answers, starts } = await play(all, 0)
        expect(starts).toBe(0)
        // One at a time looks so far; the others meet its lock.
        expect(new Set(answers.filter((answer) => answer !== 'GUARD 94'))).toEqual(
          new Set(code === 94 ? [] : [`GUARD ${code}`]),
        )
        await freeLock()
      }
      await freeLock()
      await router.run(['sh', '-c', 'echo "999999999 other" >/tmp/reflash.lock.1'])
      await refused(94)
      writeFileSync(join(router.root, 'rig/upgrade-runs'), '')
      await refused(96)
      rmSync(join(router.root, 'rig/upgrade-runs'))
      router.misbehave({ refuse: 'Invalid image type.' })
      await refused(97)
      router.misbehave({ refuse: '' })
      mkdirSync(join(router.root, 'lib/upgrade/keep.d/reflash'))
      await refused(98)
      rmSync(join(router.root, 'lib/upgrade/keep.d/reflash'), { recursive: true })
      expect(await play([right], 1)).toEqual({ answers: ['GUARD 0'], starts: 1 })
    }))

  it('never come about with a NUL byte, or half a character', () => {
    for (const part of ['\0', 'a\0b', '\ud800'])
      expect(() => quoteCommand(scriptCommand('guard', [part]))).toThrow(ReflashError)
  })
})
