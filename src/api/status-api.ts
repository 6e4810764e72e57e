/** What `/api/status/v1` answers; the server writes it, commands and dashboards read it. */
import type { CountName } from './resources.ts'

export interface FleetStatus {
  /** Version of the store that this was counted at. */
  resourceVersion: string
  version: string
  devices: {
    total: number
    /** By the status of the conditions of that name: `True`, `False`, `Unknown`. */
    reachable: Record<string, number>
    upToDate: Record<string, number>
    /** Devices off their target, by the one reason why they are not upgraded now. */
    blocked: Record<string, number>
  }
  operations: {
    inFlight: number
    byPhase: Record<string, number>
  }
  governor: {
    inFlight: number
    maxInFlight: number
    startsLastMinute: number
    maxStartsPerMinute: number
    /** Why nothing may start at all. */
    stop?: { reason: string; message: string }
  }
  policies: PolicySummary[]
  models: ModelSummary[]
}

export interface PolicySummary {
  namespace: string
  name: string
  target: string
  state: string
  phase?: string
  counts: Partial<Record<CountName, number>>
  converged: string
  message?: string
}

export interface ModelSummary {
  category: string
  /** As the device says, else its board name, else `unknown`. */
  model: string
  total: number
  upToDate: number
  /** Devices by the build that they run, else by what they say they run, else `unknown`. */
  running: Record<string, number>
}

/** `/api/status/v1/policies/NAMESPACE/NAME` */
export interface PolicyStatus extends PolicySummary {
  resourceVersion: string
  models: {
    model: string
    matched: number
    onTarget: number
    inFlight: number
    failed: number
    /** At most 20, those that need a person first. */
    failing: { device: string; reason: string; message: string }[]
    /** Failing devices beyond those. */
    more: number
  }[]
}

/** `/api/status/v1/devices/NAMESPACE/NAME`: each admission check in order; the first that fails is the reason. */
export interface DeviceStatus {
  resourceVersion: string
  namespace: string
  name: string
  model?: string
  board?: string
  running?: string
  target?: string
  policy?: string
  operation?: string
  lastProbeTime?: string
  onTarget: boolean
  admitted: boolean
  checks: DeviceCheck[]
}

export interface DeviceCheck {
  id: string
  /** What is asked, in a few words. */
  title: string
  outcome: 'Passed' | 'Failed' | 'NotReached'
  reason?: string
  message?: string
  /** When it would pass, where that is known. RFC 3339. */
  until?: string
}

/** `/api/status/v1/devices`: why not now, for every device off its target; one page. */
export interface BlockedDevices {
  resourceVersion: string
  items: {
    namespace: string
    name: string
    target?: string
    reason: string
    message: string
    until?: string
  }[]
  /** Give it back as `?continue=` for the next page. */
  continue?: string
}
