import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ended, reflash } from '../support/cli.ts'
import { requires } from '../support/requires.ts'
import { startScriptedApi } from '../support/scripted-api.ts'
import { makeTree } from '../support/tree.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const bashFunctions = '/usr/share/bash-completion/bash_completion'

const row = (name: string) => ({ cells: [name], object: { metadata: { name } } })
const tableOf = (names: readonly string[], next?: string) => ({
  body: {
    kind: 'Table',
    metadata: next === undefined ? {} : { continue: next },
    columnDefinitions: [{ name: 'Name' }],
    rows: names.map(row),
  },
})

/** Two pages of devices; one name is no name at all. */
const startFleet = () =>
  startScriptedApi(({ pathname, searchParams }) => {
    if (pathname !== '/apis/reflash.dev/v1alpha1/namespaces/default/devices') return tableOf([])
    return searchParams.has('continue') ? tableOf(['ap-20', 'sw-1']) : tableOf(['ap-17', '$(reboot)'], 'more')
  })

/** What may follow, without descriptions. */
async function complete(words: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
  const { code, stdout, stderr } = await reflash(['complete', '--', ...words], env)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const lines = stdout.trimEnd().split('\n')
  expect(lines.pop()).toBe(':4')
  return lines.map((line) => line.split('\t')[0]!)
}

describe('completion', () => {
  test.each([
    ['commands', ['va'], ['validate']],
    ['choices of a flag', ['validate', 'x', '-o', ''], ['text', 'json', 'sarif', 'junit', 'github']],
    ['choices behind =', ['validate', '--output=s'], ['sarif']],
    ['formats', ['get', 'devices', '-o', 'w'], ['wide']],
    ['flags', ['validate', '--im'], ['--images']],
    ['kinds', ['get', 'dev'], ['devices']],
    ['shells', ['completion', ''], ['bash', 'zsh', 'fish']],
    ['nothing for a command that is not there', ['nonsense', ''], []],
    ['nothing for a kind that is not there', ['get', 'devcies', ''], []],
  ])('knows %s', async (_, words, expected) => {
    expect(await complete(words)).toEqual(expected)
  })

  test('knows every command of the help', async () => {
    const { stdout } = await reflash(['--help'])
    const list = stdout.slice(stdout.indexOf('Commands:'), stdout.indexOf('Examples:'))
    const commands = [...list.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name)
    expect(commands).toContain('completion')
    expect(await complete([''])).toEqual(commands)
  })

  test('knows folders and files', async () => {
    const root = await makeTree({ 'fleet/a.yaml': '', 'fleet/$(reboot)/b.yaml': '', 'fleet/sub/c.yaml': '' })
    expect(await complete(['validate', `${root}/fl`])).toEqual([`${root}/fleet`])
    expect(await complete(['run', `${root}/fleet/`])).toEqual([`${root}/fleet/sub`])
    expect((await complete(['get', '--token-file', `${root}/fleet/`])).toSorted()).toEqual([
      `${root}/fleet/a.yaml`,
      `${root}/fleet/sub`,
    ])
  })

  test('knows the names of a running Reflash, of all pages, and passes on nothing but names', async () => {
    const { url } = await startFleet()
    const env = { REFLASH_SERVER: url }
    expect(await complete(['get', 'devices', ''], env)).toEqual(['ap-17', 'ap-20', 'sw-1'])
    expect(await complete(['get', 'dev', 'ap-17', 'ap'], env)).toEqual(['ap-20'])
    expect(await complete(['why', 's'], env)).toEqual(['sw-1'])
    expect(await complete(['describe', 'device/ap-2'], env)).toEqual(['device/ap-20'])
    expect(await complete(['get', '-n', 'default', '-s', url, 'devices', 'sw'])).toEqual(['sw-1'])
    expect(await complete(['get', '-n', 'other', 'devices', ''], env)).toEqual([])
  })

  test('does not wait for a server that is slow, and tells nobody of one that is not there', async () => {
    const silent = await startScriptedApi(() => () => {})
    const began = performance.now()
    expect(await complete(['why', ''], { REFLASH_SERVER: silent.url })).toEqual([])
    expect(performance.now() - began).toBeLessThan(5000)
    await silent.stop()
    expect(await complete(['why', ''], { REFLASH_SERVER: silent.url })).toEqual([])
    expect(await complete(['why', ''], { REFLASH_SERVER: 'nonsense://' })).toEqual([])
  })

  test('gives what came before the server fell silent', async () => {
    const { url } = await startScriptedApi(({ searchParams }) =>
      searchParams.has('continue') ? () => {} : tableOf(['ap-17'], 'more'),
    )
    expect(await complete(['why', ''], { REFLASH_SERVER: url })).toEqual(['ap-17'])
  })
})

/** A folder for PATH in which `reflash` runs the sources. */
async function programFolder(): Promise<string> {
  const folder = await makeTree()
  const path = join(folder, 'reflash')
  await writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
  await chmod(path, 0o755)
  return folder
}

async function shell(program: string, args: readonly string[], env: Record<string, string> = {}) {
  const folder = await programFolder()
  const child = spawn(program, args, {
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}`, HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { code, stdout, stderr } = await ended(child)
  return { code, stderr, words: stdout.split('\n').filter((line) => line !== '') }
}

const inBash = (line: string): string[] => [
  '--norc',
  '-c',
  `source ${bashFunctions}; source <(reflash completion bash)
   line=$1; read -ra COMP_WORDS <<<"$line"; [[ $line == *' ' ]] && COMP_WORDS+=('')
   COMP_LINE=$line COMP_POINT=\${#line} COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
   compopt() { :; }
   __reflash_complete 2>&1; printf '%s\\n' "\${COMPREPLY[@]}"`,
  'bash',
  line,
]

const withFunctions = existsSync(bashFunctions) ? ['bash'] : ['bash', 'bash-completion']

requires(...withFunctions)('completion in bash', () => {
  test('offers commands, choices, kinds and names', async () => {
    const { url } = await startFleet()
    const env = { REFLASH_SERVER: url }
    expect((await shell('bash', inBash('reflash va'))).words).toEqual(['validate'])
    expect((await shell('bash', inBash('reflash validate fleet -o '))).words).toEqual([
      'text',
      'json',
      'sarif',
      'junit',
      'github',
    ])
    expect((await shell('bash', inBash('reflash get devi'))).words).toEqual(['devices'])
    expect((await shell('bash', inBash('reflash why ap'), env)).words).toEqual(['ap-17', 'ap-20'])
  })
})

requires('fish')('completion in fish', () => {
  const inFish = (line: string): string[] => [
    '--no-config',
    '-c',
    'reflash completion fish | source; complete -C $argv[1]',
    line,
  ]
  test('offers commands, choices and names', async () => {
    const { url } = await startFleet()
    const env = { REFLASH_SERVER: url }
    const words = async (line: string) =>
      (await shell('fish', inFish(line), env)).words.map((word) => word.split('\t')[0])
    expect(await words('reflash va')).toEqual(['validate'])
    expect(await words('reflash validate fleet -o ')).toEqual(
      expect.arrayContaining(['text', 'json', 'sarif', 'junit', 'github']),
    )
    expect(await words('reflash why ap')).toEqual(['ap-17', 'ap-20'])
  })
})

requires('zsh')('completion in zsh', () => {
  /** Completion needs a terminal, so what the script hands to `_describe` is printed in its place. */
  const inZsh = (line: string): string[] => [
    '-f',
    '-c',
    `autoload -U compinit && compinit -u -d $HOME/.zcompdump
     source <(reflash completion zsh)
     _describe() { print -l -- "\${completions[@]}" }
     words=(\${=1}); [[ $1 == *' ' ]] && words+=('')
     CURRENT=\${#words}; _reflash`,
    'zsh',
    line,
  ]
  test('offers commands, choices and names', async () => {
    const { url } = await startFleet()
    const env = { REFLASH_SERVER: url }
    const words = async (line: string) =>
      (await shell('zsh', inZsh(line), env)).words.map((word) => word.split(':')[0])
    expect(await words('reflash va')).toEqual(['validate'])
    expect(await words('reflash validate fleet -o ')).toEqual(['text', 'json', 'sarif', 'junit', 'github'])
    expect(await words('reflash why ap')).toEqual(['ap-17', 'ap-20'])
  })
})
