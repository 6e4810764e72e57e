import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { kindInfo, kinds } from '../../src/api/kinds.ts'
import type { Condition, Kind } from '../../src/api/resources.ts'
import { phases } from '../../src/api/schemas/upgrade-operation.ts'
import { acceptManifest } from '../../src/api/validate.ts'
import { reasonsOf, type ConditionType } from '../../src/core/reasons.ts'
import { argoHealth, type Health } from '../support/argo-health.ts'
import { requires } from '../support/requires.ts'

const root = fileURLToPath(new URL('../../manifests/argocd/reflash.dev/', import.meta.url))
const readYaml = (path: string): unknown => parse(readFileSync(join(root, path), 'utf8'))

interface Seen {
  kind: Kind
  metadata: { generation: number }
  spec: { state?: string }
  status?: { phase?: string; observedGeneration?: number; conditions?: Condition[] }
}
interface Case {
  kind: Kind
  file: string
  object: Seen
  expected: Health
}
const cases = globSync('*/health_test.yaml', { cwd: root }).flatMap((path) => {
  const { tests } = readYaml(path) as { tests: { healthStatus: Health; inputPath: string }[] }
  return tests.map(({ healthStatus: expected, inputPath }): Case => {
    const file = join(dirname(path), inputPath)
    return { kind: dirname(path) as Kind, file, object: readYaml(file) as Seen, expected }
  })
})
const statesOf = (kind: Kind): Seen[] =>
  cases.filter((item) => item.kind === kind).map(({ object }) => object)

requires('lua5.1')('the health that Argo CD sees', () => {
  test.each(cases)('$file is $expected.status', ({ kind, object, expected }) => {
    const script = readFileSync(join(root, kind, 'health.lua'), 'utf8')
    expect(argoHealth(script, object)).toEqual(expected)
  })

  test('is asked of a Lua that has no more than Argo CD gives it', () => {
    expect(argoHealth('return {status = type(string) .. type(os) .. type(table)}', {})).toEqual({
      status: 'nilniltable',
    })
    expect(() => argoHealth('return {status = ("x"):upper()}', {})).toThrow('attempt to')
  })
})

describe('the states that it is tried on', () => {
  test('are of every kind, and each file is one', () => {
    expect(new Set(cases.map(({ kind }) => kind))).toEqual(new Set(kinds.map(({ kind }) => kind)))
    expect(cases.map(({ file }) => file).toSorted()).toEqual(
      globSync('*/testdata/*.yaml', { cwd: root }).toSorted(),
    )
  })

  test.each(cases)('$file is one that the controller writes', ({ kind, object }) => {
    const { status, ...manifest } = object
    expect(manifest.kind).toBe(kind)
    expect(acceptManifest(manifest, { mode: 'server' })).toMatchObject({ ok: true })
    if (!status) return
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(kindInfo(kind).status)
    validate(status)
    expect(validate.errors ?? []).toEqual([])
    for (const { type, reason, observedGeneration } of status.conditions ?? []) {
      expect(reasonsOf(type as ConditionType)).toContain(reason)
      expect(observedGeneration).toBeLessThanOrEqual(manifest.metadata.generation)
    }
  })

  test.each(kinds.map(({ kind }) => kind))(
    'of a %s begin before anybody looked, and include one that was accepted',
    (kind) => {
      const states = statesOf(kind)
      expect(states.some(({ status }) => status === undefined)).toBe(true)
      const readiness = states.flatMap(({ status }) =>
        (status?.conditions ?? []).filter(({ type }) => type === 'Ready').map(({ status: word }) => word),
      )
      expect(readiness).toContain('True')
      expect(readiness).toContain('False')
    },
  )

  test('of an operation are all phases', () => {
    expect(new Set(statesOf('UpgradeOperation').flatMap(({ status }) => status?.phase ?? []))).toEqual(
      new Set(phases),
    )
  })

  test('of a policy are all states and phases', () => {
    const states = statesOf('UpgradePolicy')
    const { properties } = kindInfo('UpgradePolicy').status
    expect(new Set(states.flatMap(({ status }) => status?.phase ?? []))).toEqual(
      new Set(properties!['phase']!.enum),
    )
    const { state } = kindInfo('UpgradePolicy').spec.properties!
    expect(new Set(states.map(({ spec }) => spec.state ?? 'Run'))).toEqual(new Set(state!.enum))
  })

  test.each([
    ['UpgradePolicy', 'Paused'],
    ['Device', 'Reachable'],
    ['Device', 'UpToDate'],
    ['UpgradePolicy', 'Converged'],
  ] as const)('of a %s have all reasons of %s', (kind, type) => {
    const seen = statesOf(kind).flatMap(({ status }) =>
      (status?.conditions ?? []).filter((condition) => condition.type === type).map(({ reason }) => reason),
    )
    expect(new Set(seen)).toEqual(new Set(reasonsOf(type)))
  })
})
