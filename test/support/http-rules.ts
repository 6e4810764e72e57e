import {
  type HttpFault,
  type HttpRequest,
  isMatch,
  type RequestMatch,
  type WatchEvent,
} from './http-faults.ts'

type Kind = HttpFault['kind']
type FaultOf<K extends Kind> = Extract<HttpFault, { kind: K }>
type Head = () => WatchEvent | undefined

/** The rules as they are for one request and its answer. */
export interface RulesInForce {
  /** The fault of this kind that strikes now, which is counted. `head` gives the next event. */
  strike<K extends Kind>(kind: K, head?: Head): FaultOf<K> | undefined
  /** The same for a fault that lasts: it counts once, and stays until it is switched off. */
  hold<K extends Kind>(kind: K, head?: Head): FaultOf<K> | undefined
  /** It has not been switched off. */
  isOn(fault: HttpFault): boolean
  /** One more event has passed. */
  pass(): void
  end(): void
}

export interface HttpRules {
  add(fault: HttpFault, match: RequestMatch): () => void
  clear(): void
  /** `onChange` is called after every change until `end`. */
  inForce(request: HttpRequest, onChange?: () => void): RulesInForce
}

interface Rule {
  fault: HttpFault
  match: RequestMatch
  left: number
}
interface Stream {
  passed: number
  /** Events that had passed when a rule came on. */
  startOf: Map<Rule, number>
  onChange: () => void
}

export const createHttpRules = (): HttpRules => {
  const rules = new Set<Rule>()
  const streams = new Set<Stream>()
  const changed = () => {
    for (const { onChange } of streams) onChange()
  }
  return {
    add: (fault, match) => {
      const rule = { fault, match, left: match.times ?? Infinity }
      rules.add(rule)
      for (const stream of streams) stream.startOf.set(rule, stream.passed)
      changed()
      return () => {
        rules.delete(rule)
        changed()
      }
    },
    clear: () => {
      rules.clear()
      changed()
    },
    inForce: (request, onChange = () => {}) => {
      const stream: Stream = { passed: 0, startOf: new Map(), onChange }
      const held = new Set<Rule>()
      streams.add(stream)
      const find = (kind: Kind, head?: Head): Rule | undefined =>
        [...rules].find((rule) => {
          const { event, afterEvents = 0 } = rule.match
          if (rule.fault.kind !== kind || !isMatch(rule.match, request)) return false
          if (held.has(rule)) return true
          if (rule.left <= 0 || stream.passed - (stream.startOf.get(rule) ?? 0) < afterEvents) return false
          const next = event && head?.()
          return !event || (next !== undefined && event(next))
        })
      return {
        strike: <K extends Kind>(kind: K, head?: Head) => {
          const rule = find(kind, head)
          if (rule) rule.left -= 1
          return rule?.fault as FaultOf<K> | undefined
        },
        hold: <K extends Kind>(kind: K, head?: Head) => {
          const rule = find(kind, head)
          if (rule && !held.has(rule)) {
            held.add(rule)
            rule.left -= 1
          }
          return rule?.fault as FaultOf<K> | undefined
        },
        isOn: (fault) => [...rules].some((rule) => rule.fault === fault),
        pass: () => void (stream.passed += 1),
        end: () => void streams.delete(stream),
      }
    },
  }
}
