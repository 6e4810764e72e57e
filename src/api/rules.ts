/** The CEL rules of the schemas once more, for manifests that no API server has seen. */
import type { UpgradePolicySpec } from './resources.ts'
import { labelKeyPattern, type Rule } from './schema.ts'

type Spec = Record<string, unknown>
/** Whether a spec obeys the rule; `before` is the spec in force, for rules about changes. */
type Check = (spec: Spec, before: Spec | undefined) => boolean

const part = (spec: Spec, name: string): Spec => (spec[name] ?? {}) as Spec
const has = (spec: Spec, name: string): boolean => spec[name] !== undefined

const selectorOf = (spec: Spec) => (spec as unknown as UpgradePolicySpec).selector
const labelKey = new RegExp(labelKeyPattern, 'u')

/** One entry for each rule of the registry, under its CEL text; a test finds the missing ones. */
export const ruleChecks: Readonly<Record<string, Check>> = {
  "self.lifecycle != 'Recalled' || (has(self.reason) && size(self.reason) > 0)": (spec) =>
    spec['lifecycle'] !== 'Recalled' || (has(spec, 'reason') && spec['reason'] !== ''),
  'has(self.source.path) != has(self.source.url)': (spec) =>
    has(part(spec, 'source'), 'path') !== has(part(spec, 'source'), 'url'),
  '!has(self.source.url) || has(self.sha256)': (spec) =>
    !has(part(spec, 'source'), 'url') || has(spec, 'sha256'),
  [`!has(self.selector.matchLabels) || self.selector.matchLabels.all(key, key.matches('${labelKeyPattern}'))`]:
    (spec) => Object.keys(selectorOf(spec).matchLabels ?? {}).every((key) => labelKey.test(key)),
  "!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(one, (one.operator in ['In', 'NotIn']) == (has(one.values) && size(one.values) > 0))":
    (spec) =>
      (selectorOf(spec).matchExpressions ?? []).every(
        ({ operator, values = [] }) => (operator === 'In' || operator === 'NotIn') === values.length > 0,
      ),
  '!has(self.hold) || !has(self.hold.until) || type(self.hold.until) == google.protobuf.Timestamp': (spec) =>
    !has(part(spec, 'hold'), 'until') || typeof part(spec, 'hold')['until'] === 'string',
  'has(self.buildRef) != has(self.imageRef)': (spec) => has(spec, 'buildRef') !== has(spec, 'imageRef'),
  'self.deviceRef == oldSelf.deviceRef': (spec, before) =>
    before === undefined || part(spec, 'deviceRef')['name'] === part(before, 'deviceRef')['name'],
}

/** The rules that a spec breaks. @throws TypeError for a rule without a counterpart here. */
export const brokenRules = (rules: readonly Rule[], spec: object, before?: object): Rule[] =>
  rules.filter(({ rule }) => !ruleChecks[rule]!(spec as Spec, before as Spec | undefined))
