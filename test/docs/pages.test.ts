import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { cliPage } from './cli-page.ts'
import { commandDocs } from './command-docs.ts'
import { manPage } from './man-page.ts'
import { requires } from '../support/requires.ts'

test('every command has an example that calls it', () => {
  for (const { name, examples } of commandDocs) {
    expect(examples, name).toContainEqual(expect.stringContaining(name))
  }
})

test('every flag of every command is on both pages', () => {
  const roff = manPage.replaceAll('\\-', '-')
  for (const { name, options } of commandDocs) {
    expect(cliPage).toContain(`\n## ${name}\n`)
    for (const { flags } of options) {
      expect(cliPage).toContain(`| \`${flags}\` |`)
      expect(roff).toContain(`.TP\n\\fB${flags}\\fR\n`)
    }
  }
})

requires('groff')('the manual page', () => {
  test('is roff without a warning', () => {
    const { status, stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-P-cbuo'], {
      input: manPage,
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('EXIT STATUS')
  })
})
