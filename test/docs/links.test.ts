import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = new URL('../../', import.meta.url)
const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((page) => page !== '')

const textOf = (page: URL): string => readFileSync(page, 'utf8')

/** Headings as the hosts of git repositories turn them into anchors. */
const anchorsOf = (text: string): string[] =>
  Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

/** What a page links to within the repository; code is no link. */
const linksOf = (text: string): string[] =>
  Array.from(
    text.replaceAll(/^```.*?^```$|`[^`\n]*`/gms, '').matchAll(/\]\(([^)\s]+)\)/g),
    ([, target]) => target!,
  ).filter((target) => !/^[a-z]+:/.test(target))

test.each(pages)('every link of %s leads somewhere', (name) => {
  const page = new URL(name, root)
  const lost = linksOf(textOf(page)).filter((link) => {
    const target = new URL(link, page)
    const { hash } = target
    target.hash = ''
    if (!fileURLToPath(target).startsWith(fileURLToPath(root)) || !existsSync(target)) return true
    return hash !== '' && !anchorsOf(textOf(target)).includes(hash.slice(1))
  })
  expect(lost).toEqual([])
})
