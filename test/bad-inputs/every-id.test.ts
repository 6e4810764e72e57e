import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { badInputs, elsewhere, notYet, type BadInput } from './ids.ts'

const here = import.meta.dirname
const root = new URL('../../', import.meta.url)
const ids = Object.keys(badInputs) as BadInput[]
/** All that plays bad inputs, as text. */
const played = readdirSync(here)
  .filter((name) => /(rows|test)\.ts$/.test(name) && !name.startsWith('every-id'))
  .map((name) => readFileSync(`${here}/${name}`, 'utf8'))
  .join('')

test.each(ids)('%s is played, or its part does not exist yet', (id) => {
  const isPlayed = new RegExp(`['"]${id}[':]|\\(\\s*['"]${id}['"]`).test(played)
  expect({ isPlayed, isNotYet: id in notYet }).toEqual({ isPlayed: !(id in notYet), isNotYet: !isPlayed })
})

test.each(elsewhere)('%s is also proved in %s: %s', (_, file, name) => {
  expect(readFileSync(new URL(file, root), 'utf8')).toContain(name)
})
