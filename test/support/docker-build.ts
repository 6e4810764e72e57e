import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { DockerfileParser, type Copy, type Entrypoint, type From, type Instruction } from 'dockerfile-ast'

const run = promisify(execFile)

/** One stage of a build: a folder that stands for its root, and what was said of it. */
export interface Stage {
  root: string
  image: string
  workdir: string
  user: string
  env: Record<string, string>
  entrypoint: string[]
  command: string[]
}

interface Build {
  context: string
  folder: string
  args: Map<string, string>
  stages: Map<string, Stage>
}

/**
 * Does what a Dockerfile says without Docker: each stage is an empty folder, and its commands run on this machine, with
 * its Node and npm. Knows the instructions that ours has. Returns the stages by name; the last one is called `final`.
 */
export async function replayDockerfile(context: string, folder: string): Promise<Map<string, Stage>> {
  const text = await readFile(join(context, 'Dockerfile'), 'utf8')
  const build: Build = { context, folder, args: new Map(), stages: new Map() }
  let stage: Stage | undefined
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    if (instruction.getKeyword() === 'ARG') {
      const [name, value] = splitAt(instruction.getArgumentsContent()!)
      build.args.set(name, value)
    } else if (instruction.getKeyword() === 'FROM') stage = await begin(instruction as From, build)
    else await perform(instruction, stage!, build)
  }
  return build.stages
}

async function begin(instruction: From, { args, folder, stages }: Build): Promise<Stage> {
  const name = instruction.getBuildStage() ?? 'final'
  const image = instruction.getImage()!.replace(/\$\{(\w+)\}/, (_, arg: string) => args.get(arg)!)
  const root = join(folder, name)
  await mkdir(root)
  const stage: Stage = {
    root,
    image,
    workdir: '/',
    user: 'root',
    env: {},
    entrypoint: [],
    command: [],
  }
  stages.set(name, stage)
  return stage
}

async function perform(instruction: Instruction, stage: Stage, build: Build): Promise<void> {
  const content = instruction.getArgumentsContent() ?? ''
  switch (instruction.getKeyword()) {
    case 'WORKDIR':
      stage.workdir = resolve(stage.workdir, content)
      await mkdir(join(stage.root, stage.workdir), { recursive: true })
      return
    case 'COPY':
      return copy(instruction as Copy, stage, build)
    case 'RUN':
      await run('sh', ['-c', content], {
        cwd: join(stage.root, stage.workdir),
        env: { ...process.env, ...stage.env, npm_config_prefer_offline: 'true', npm_config_audit: 'false' },
        maxBuffer: 2 ** 24,
      })
      return
    case 'ENV': {
      const [name, value] = splitAt(content)
      stage.env[name] = value
      return
    }
    case 'USER':
      stage.user = content
      return
    case 'ENTRYPOINT':
      stage.entrypoint = wordsOf(instruction)
      return
    case 'CMD':
      stage.command = wordsOf(instruction)
      return
    default:
      throw new Error(`nobody has said yet what ${instruction.getKeyword()} does`)
  }
}

/** A folder gives its contents, a file itself. */
async function copy(instruction: Copy, stage: Stage, { context, stages }: Build): Promise<void> {
  const from = instruction.getFromFlag()?.getValue()
  const paths = instruction.getArguments().map((argument) => argument.getValue())
  const target = paths.pop()!
  for (const path of paths) {
    const source = from == null ? join(context, path) : join(stages.get(from)!.root, path)
    const place = join(stage.root, resolve(stage.workdir, target))
    const into =
      (await stat(source)).isDirectory() || !target.endsWith('/') ? place : join(place, basename(path))
    await mkdir(dirname(into), { recursive: true })
    await cp(source, into, { recursive: true, verbatimSymlinks: true })
  }
}

/** The words of the form that needs no shell. */
function wordsOf(instruction: Instruction): string[] {
  const words = (instruction as Entrypoint).getJSONStrings().map((word) => word.getJSONValue())
  if (words.length === 0) throw new Error(`${instruction.getKeyword()} needs a shell`)
  return words
}

function splitAt(text: string): [string, string] {
  const index = text.indexOf('=')
  return [text.slice(0, index), text.slice(index + 1)]
}
