import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as publicApi from '../src/index.ts'

/** Names that a source file exports by hand, types included. */
const exportedNames = (text: string): string[] =>
  [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)]
    .flatMap(([, names]) => names!.split(','))
    .map((name) => name.trim().replace(/^type /, ''))
    .filter((name) => name !== '')
    .toSorted()

test('the public API has these names, and a change of them is a decision', () => {
  const text = readFileSync(new URL('../src/index.ts', import.meta.url), 'utf8')
  expect(exportedNames(text)).toMatchInlineSnapshot(`
    [
      "AnyResource",
      "Build",
      "Category",
      "Condition",
      "Connector",
      "Credentials",
      "Device",
      "ErrorCode",
      "ExecOptions",
      "ExecResult",
      "FailureClass",
      "FirmwareImage",
      "ImageMetadata",
      "Job",
      "Key",
      "Kind",
      "KindMap",
      "LabelSelector",
      "Manifest",
      "ObjectMeta",
      "Phase",
      "Probe",
      "ReflashError",
      "Session",
      "StartResult",
      "StartToken",
      "Target",
      "UpgradeOperation",
      "UpgradeOptions",
      "UpgradePolicy",
      "Upgrader",
      "UploadContext",
      "UploadOptions",
      "errorTable",
      "parseDuration",
    ]
  `)
  expect(Object.keys(publicApi).toSorted()).toMatchInlineSnapshot(`
    [
      "ReflashError",
      "errorTable",
      "parseDuration",
    ]
  `)
})

test('an error of the public API says by its code whether waiting helps', () => {
  const error = new publicApi.ReflashError('UploadFailed', 'the link is slow')
  expect(error).toMatchObject({ name: 'ReflashError', code: 'UploadFailed', recoverable: true })
  expect(publicApi.errorTable[error.code].recoverable).toBe(true)
  expect(publicApi.parseDuration('1h30m')).toBe(5_400_000)
})

test('an error of another copy of the package is known as one', async () => {
  const path = '../src/core/errors.ts?another-copy'
  const copy = (await import(path)) as typeof publicApi
  expect(copy.ReflashError).not.toBe(publicApi.ReflashError)
  expect(new copy.ReflashError('Busy', 'not now')).toBeInstanceOf(publicApi.ReflashError)
  expect(new Error('not now')).not.toBeInstanceOf(publicApi.ReflashError)
})
