import { Ajv, type ValidateFunction } from 'ajv'
import { kindInfo } from '../../src/api/kinds.ts'
import type { Kind } from '../../src/api/resources.ts'

const ajv = new Ajv({ strict: false, validateFormats: false })
const validators = new Map<Kind, ValidateFunction>()

/** What an API server has against a status, in words: it would refuse to store it. Empty when it is fine. */
export function statusProblems(kind: Kind, status: object): string {
  let validate = validators.get(kind)
  if (!validate) validators.set(kind, (validate = ajv.compile(kindInfo(kind).status)))
  return validate(status) ? '' : ajv.errorsText(validate.errors)
}
