/** A process that has a state file: PATH DIRECTORY hold|write|die-creating. Says "open", then each write it was told is kept. */
import { truncateSync, writeSync } from 'node:fs'
import { systemClock } from '../../src/adapters/clock/system-clock.ts'
import { createSchema } from '../../src/adapters/sqlite/schema.ts'
import { createDurably, prepareStatePath } from '../../src/adapters/sqlite/state-file.ts'
import { openState } from '../../src/adapters/sqlite/state.ts'
import { category } from './category.ts'

const [path = '', directory = '', task = ''] = process.argv.slice(2)
// Synchronous, so that what was said before a kill has been said.
const say = (line: string): void => void writeSync(1, `${line}\n`)

if (task === 'die-creating') {
  createDurably(prepareStatePath(path), (draft) => {
    createSchema(draft, { directory, realDirectory: directory, opened: '2026-01-01T00:00:00Z' })
    truncateSync(draft, 5000)
    say('half-made')
    process.kill(process.pid, 'SIGKILL')
  })
}
const state = await openState(path, { directory, clock: systemClock }).catch(
  (error: Error & { code?: string }) => {
    say(`${error.code} ${error.message}`)
    process.exit(1)
  },
)
say('open')
if (task === 'hold') setInterval(() => {}, 1000)
for (let number = 0; task === 'write'; number += 1) {
  const name = `ap-${number % 50}`
  await state.resources.apply(
    category(name, { description: `${number}`.padEnd(500 + (number % 7) * 800, 'x') }),
  )
  if (number % 5 === 0)
    await state.resources.delete('Category', { namespace: 'default', name: `ap-${(number + 25) % 50}` })
  await state.records.put('number', number)
  say(`${number}`)
}
