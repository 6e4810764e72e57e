import { spawnSync } from 'node:child_process'
import { chmod, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { cliResult } from '../support/cli-call.ts'
import { makeTree } from '../support/tree.ts'

const top = fileURLToPath(new URL('../../', import.meta.url))
const example = join(top, 'examples/gitops')
const readYaml = async (path: string): Promise<unknown> => parse(await readFile(join(top, path), 'utf8'))

interface Workflow {
  permissions: Record<string, string>
  env: Record<string, string>
  jobs: Record<string, { steps: { uses?: string; run?: string; with?: Record<string, unknown> }[] }>
}

describe('the workflow of the example', async () => {
  const workflow = (await readYaml('examples/gitops/.github/workflows/validate-and-plan.yml')) as Workflow
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps)
  const commands = steps.flatMap(({ run }) => (run?.startsWith('reflash ') ? [run] : []))

  /** Runs a line as GitHub does, in a checkout of the example, with `reflash` from the sources. */
  async function runStep(line: string, change?: (checkout: string) => Promise<void>) {
    const root = await makeTree({
      reflash: `#!/bin/sh\nexec '${process.execPath}' '${join(top, 'src/main.ts')}' "$@"\n`,
    })
    await chmod(join(root, 'reflash'), 0o755)
    const checkout = join(root, 'checkout')
    await cp(example, checkout, { recursive: true })
    await change?.(checkout)
    const { status, stdout } = spawnSync('bash', ['-e', '-c', line], {
      cwd: checkout,
      encoding: 'utf8',
      env: {
        ...process.env,
        PATH: `${root}:${process.env['PATH']}`,
        GITHUB_ACTIONS: 'true',
        GITHUB_WORKSPACE: checkout,
        GITHUB_STEP_SUMMARY: join(root, 'page'),
        RUNNER_TEMP: root,
      },
    })
    return { status, stdout, page: await readFile(join(root, 'page'), 'utf8').catch(() => '') }
  }

  test('may read, and nothing else', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' })
    for (const { uses, with: settings } of steps) {
      if (uses !== undefined) expect(uses).toMatch(/^actions\/[a-z-]+@v\d+$/)
      if (uses?.startsWith('actions/checkout@')) expect(settings).toEqual({ 'persist-credentials': false })
    }
    expect(Object.keys(workflow.jobs)).toEqual(['validate', 'plan'])
  })

  test('passes on the example, and puts check and plan on its page', async () => {
    expect(commands).toHaveLength(2)
    const validated = await runStep(commands[0]!)
    expect(validated.status).toBe(0)
    expect(validated.stdout).toMatch(/^::warning file=sites\/berlin\/devices\.yaml,line=\d+,col=\d+,title=/)
    expect(validated.page).toMatch(
      /^### ✔ reflash validate: 10 objects, 0 errors, 3 warnings, 9 other documents skipped\n/,
    )
    const planned = await runStep(commands[1]!)
    expect(planned.status).toBe(0)
    expect(planned.page).toMatch(/^\*\*3 devices: /)
  })

  test('fails on what is wrong', async () => {
    const breakIt = (checkout: string): Promise<void> =>
      writeFile(join(checkout, 'sites/berlin/more.yaml'), 'apiVersion: reflash.dev/v1alpha1\nkind: Divice\n')
    const validated = await runStep(commands[0]!, breakIt)
    expect(validated.status).toBe(1)
    expect(validated.stdout).toMatch(
      /^::error file=sites\/berlin\/more\.yaml,line=2,col=7,title=unknown-kind kind::.*did you mean Device\?\n/,
    )
    expect((await runStep(commands[1]!, breakIt)).status).toBe(1)
  })
})

describe('the hook for pre-commit', async () => {
  const [hook, ...others] = (await readYaml('.pre-commit-hooks.yaml')) as {
    id: string
    entry: string
    args: string[]
    language: string
    pass_filenames: boolean
  }[]

  test('is the one that the example asks for', async () => {
    const { repos } = (await readYaml('examples/gitops/.pre-commit-config.yaml')) as {
      repos: { rev: string; hooks: { id: string }[] }[]
    }
    expect(others).toEqual([])
    expect(repos.flatMap(({ hooks }) => hooks)).toEqual([{ id: hook!.id }])
    const { version } = JSON.parse(await readFile(join(top, 'package.json'), 'utf8')) as { version: string }
    expect(repos[0]!.rev).toBe(`v${version}`)
  })

  test('calls what there is', async () => {
    expect(hook).toMatchObject({ language: 'system', pass_filenames: false })
    const [program, ...words] = [...hook!.entry.split(' '), ...hook!.args]
    expect(program).toBe('reflash')
    const { code } = await cliResult(words.map((word) => (word === '.' ? example : word)))
    expect(code).toBe(0)
  })
})
