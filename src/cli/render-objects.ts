import { nearest } from '../api/nearest.ts'
import { compileTemplate } from '../core/json-path.ts'
import type { ReadObject } from './api-objects.ts'
import { CliError, exitCodes } from './context.ts'
import { shown } from './render-text.ts'
import { toYaml } from './render-yaml.ts'
import { fullName, type ResourceName } from './resource-names.ts'

export type Output =
  | { type: 'table'; wide: boolean }
  | { type: 'json' | 'yaml' | 'name' }
  | { type: 'jsonpath'; print: (value: unknown) => string }
export type ObjectOutput = Exclude<Output, { type: 'table' }>

/** An object and its kind, which its name is printed with. */
export interface Named {
  resource: ResourceName
  object: ReadObject
}

const formats = ['table', 'wide', 'json', 'yaml', 'name', 'jsonpath=TEMPLATE'] as const

/** Reads `--output`. @throws CliError, or ReflashError for a template that cannot be read. */
export function readOutput(text: string): Output {
  if (text.startsWith('jsonpath=')) {
    return { type: 'jsonpath', print: compileTemplate(text.slice('jsonpath='.length)) }
  }
  switch (text) {
    case 'table':
    case 'wide':
      return { type: 'table', wide: text === 'wide' }
    case 'json':
    case 'yaml':
    case 'name':
      return { type: text }
    default: {
      const suggestion = nearest(text, formats)
      throw new CliError(
        `--output must be one of ${formats.join(', ')}, found "${shown(text)}"${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`,
        exitCodes.usage,
      )
    }
  }
}

/** Objects as a text; one that was asked for by its name is printed alone, others as a List. */
export function renderObjects(output: ObjectOutput, found: readonly Named[], isOne: boolean): string {
  if (output.type === 'name') return found.map((named) => renderName(named)).join('')
  const [first] = found
  const value: unknown =
    isOne && first
      ? first.object
      : { kind: 'List', apiVersion: 'v1', items: found.map(({ object }) => object) }
  if (output.type === 'jsonpath') return output.print(value)
  return output.type === 'yaml' ? toYaml(value) : renderJson(value)
}

/** One of the objects that a watch prints one after the other. */
export function renderEach(output: ObjectOutput, named: Named): string {
  if (output.type === 'name') return renderName(named)
  if (output.type === 'jsonpath') return `${output.print(named.object)}\n`
  return output.type === 'yaml' ? `---\n${toYaml(named.object)}` : renderJson(named.object)
}

/** Controls are escaped by JSON already, but for those above ASCII. */
export const renderJson = (value: unknown): string =>
  `${JSON.stringify(value, null, 2).replaceAll(/[\u007f-\u009f\p{Cf}\u2028\u2029]/gu, escapeUnits)}\n`

const escapeUnits = (character: string): string =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')

const renderName = ({ resource, object }: Named): string =>
  `${shown(fullName(resource, object.metadata.name))}\n`
