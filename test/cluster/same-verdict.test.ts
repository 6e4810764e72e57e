/** What our validation says of a manifest, an API server says too. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseFile } from '../../src/adapters/files/parse-file.ts'
import { kindInfo, kinds } from '../../src/api/kinds.ts'
import { formatPath } from '../../src/api/problem.ts'
import type { Kind, Manifest } from '../../src/api/resources.ts'
import { apiVersion } from '../../src/api/schema.ts'
import { acceptManifest, changeProblems, type Acceptance } from '../../src/api/validate.ts'
import { mapInBatches } from '../../src/adapters/files/map-in-batches.ts'
import { sameValue } from '../../src/core/same-value.ts'
import { missingApiServer, startApiServer, type ApiServer } from '../support/api-server.ts'
import { installCrds } from '../support/crds.ts'
import type { Answer } from '../support/kubernetes-requests.ts'
import { unlessMissing } from '../support/requires.ts'
import { changedFields } from './changed-fields.ts'
import { changes, dropped, rows, texts } from './manifest-table.ts'
import { full, least } from './specs.ts'

interface Status {
  message: string
  details?: { causes?: { field: string; message: string }[] }
}

const collection = (kind: Kind): string => `/apis/${apiVersion}/namespaces/default/${kindInfo(kind).plural}`

const manifestOf = (kind: Kind, spec: unknown, metadata: object = { name: 'a' }): object => ({
  apiVersion,
  kind,
  metadata,
  ...(spec === undefined ? {} : { spec }),
})

const accepted = (manifest: object): Manifest => {
  const result = acceptManifest(manifest, { mode: 'file' })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.manifest
}

const distinct = (paths: Iterable<string>): string[] => [...new Set(paths)].toSorted()

const pathsOf = (acceptance: Acceptance): string[] =>
  distinct(acceptance.ok ? [] : acceptance.problems.map(({ path }) => formatPath(path)))

const rules = kinds.flatMap((info) => info.rules)

/** Where the server says that something is wrong; for a body that it cannot decode it names no place. */
const causesOf = ({ body }: Answer): string[] => {
  const { causes = [] } = (body as Status).details ?? {}
  const fields = causes.map(({ field, message }) => {
    // A rule that cannot be evaluated is reported for what it is a rule of.
    const broken = rules.find((rule) => message.endsWith(`evaluating rule: ${rule.message}`))
    return broken ? `spec${broken.fieldPath ?? ''}` : field
  })
  return distinct(fields.filter((field) => field !== '<nil>'))
}

unlessMissing(missingApiServer())('an API server and our validation', () => {
  let server: ApiServer
  beforeAll(async () => {
    server = await startApiServer()
    await installCrds(server)
  })
  afterAll(() => server?.stop())

  const create = (kind: Kind, body: unknown, fieldValidation = 'Strict'): Promise<Answer> =>
    server.request('POST', `${collection(kind)}?dryRun=All&fieldValidation=${fieldValidation}`, {
      body,
      ...(typeof body === 'string' ? { contentType: 'application/yaml' } : {}),
    })

  test.each(rows)('agree on a $kind: $what', async ({ kind, metadata, spec, wrong, serverSays }) => {
    const manifest = manifestOf(kind, spec, metadata)
    const ours = acceptManifest(manifest, { mode: 'file' })
    const answer = await create(kind, manifest)
    expect(pathsOf(ours)).toEqual(distinct(wrong))
    if (ours.ok) {
      expect(answer.status, JSON.stringify(answer.body)).toBe(201)
      expect((answer.body as Manifest).spec).toEqual(ours.manifest.spec)
    } else {
      expect([400, 422]).toContain(answer.status)
      expect(causesOf(answer), (answer.body as Status).message).toEqual(distinct(serverSays))
    }
  })

  test.each(kinds)('agree on a $kind of which one field is another one', async ({ kind, spec: schema }) => {
    const differences = await mapInBatches(
      changedFields(full[kind], schema),
      async ({ path, value, spec }) => {
        const ours = acceptManifest(manifestOf(kind, spec), { mode: 'file' })
        const answer = await create(kind, manifestOf(kind, spec))
        const [mine, theirs] = [pathsOf(ours), causesOf(answer)]
        const isSame = ours.ok
          ? answer.status === 201 && sameValue((answer.body as Manifest).spec, ours.manifest.spec)
          : answer.status === 400 || (answer.status === 422 && sameValue(mine, theirs))
        if (isSame) return []
        const what = `${formatPath(path)} = ${JSON.stringify(value)?.slice(0, 50)}`
        return [`${what}: we name ${mine.join()}, the server names ${theirs.join()} (${answer.status})`]
      },
    )
    expect(differences.length).toBeGreaterThan(90)
    expect(differences.flat()).toEqual([])
  })

  test.each(changes)('agree on a change of $what', async ({ kind, fields, wrong }) => {
    const before = manifestOf(kind, least[kind], { name: `changes-${kind.toLowerCase()}` })
    const { body } = await server.request('POST', collection(kind), { body: before })
    const path = `${collection(kind)}/changes-${kind.toLowerCase()}`
    // The one of an earlier change, if it is there.
    const made = ((body as Status).details ? (await server.request('GET', path)).body : body) as object
    const after = { ...made, spec: { ...least[kind], ...fields } }
    const answer = await server.request('PUT', `${path}?dryRun=All&fieldValidation=Strict`, { body: after })
    const ours = changeProblems(accepted(before), accepted(manifestOf(kind, { ...least[kind], ...fields })))
    expect(ours.map((problem) => formatPath(problem.path))).toEqual(wrong)
    expect(answer.status === 200 ? [] : causesOf(answer)).toEqual(wrong)
  })

  test.each(dropped)('differ on $what, only in files', async ({ kind, change, inFile, strictly }) => {
    const manifest = { ...manifestOf(kind, least[kind]), ...change }
    expect(pathsOf(acceptManifest(manifest, { mode: 'file' }))).toEqual(inFile)
    expect((await create(kind, manifest)).status).toBe(strictly)
    const ours = acceptManifest(manifest, { mode: 'server' })
    const answer = await create(kind, manifest, 'Ignore')
    expect(answer.status).toBe(ours.ok ? 201 : 422)
    if (ours.ok) expect((answer.body as Manifest).spec).toEqual(ours.manifest.spec)
    else expect(causesOf(answer)).toEqual(pathsOf(ours))
  })

  test.each(texts)('agree on the text $text', async ({ text, isText }) => {
    const manifest = `apiVersion: ${apiVersion}
kind: Device
metadata:
  name: a
spec:
  categoryRef: {name: indoor}
  addresses: [192.0.2.1]
  credentialsRef: {name: routers}
  hold:
    reason: ${text}
`
    const { items, problems } = parseFile(manifest)
    const answer = await create('Device', manifest)
    expect(problems.map(({ path }) => path)).toEqual(isText ? [] : ['spec.hold.reason'])
    expect(answer.status).toBe(isText ? 201 : 422)
    if (isText) expect(items[0]?.manifest?.spec).toEqual((answer.body as Manifest).spec)
  })
})
