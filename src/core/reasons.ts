import type { Kind } from '../api/resources.ts'

/** Why a device that differs from its target is not upgraded now: the closed list behind `status.blocked.reason`. */
export const blockedReasons = {
  NoPolicy: 'No policy selects the device.',
  OwnedByPolicy: 'A policy with another target owns the device.',
  PolicyConflict: 'Two policies of equal priority select the device; neither acts on it.',
  PolicyNotReady: 'The policy is not accepted, or its target is missing.',
  PolicyPlanned: 'The policy only plans.',
  PolicyPaused: 'The policy is paused.',
  PolicyAborted: 'The policy is aborted.',
  BuildRecalled: 'The target build is recalled.',
  BuildNotReady: 'No image of the target build is ready.',
  NoImage: 'The target build has no image for this board.',
  AmbiguousImage: 'The target build has two images for this board.',
  NeverProbed: 'The device has not been reached yet, so nothing is known of it.',
  Removed: 'The device is being removed.',
  Held: 'The operator holds the device.',
  Pinned: 'The device is pinned to another build.',
  NoCredentials: 'The Secret with its credentials is missing or incomplete.',
  AuthFailed: 'The device refuses the credentials.',
  HostKeyChanged: 'The device shows another host key than the one pinned.',
  IdentityChanged: 'Another device answers at this address.',
  Unsupported: 'The device cannot be talked to as it is configured.',
  AddressConflict: 'Another Device has the same address.',
  UnknownVersion: 'Its version cannot be compared with that of the target.',
  Downgrade: 'The target is older than what it runs.',
  HopNotAllowed: 'The target cannot be installed over a version that old.',
  Upgrading: 'An operation is upgrading it.',
  Retrying: 'An attempt failed before the flash; another follows.',
  Quarantined: 'Its attempts are used up; it is left alone for a while.',
  Unreachable: 'The device does not answer.',
  Rejected: 'The device or its checks refused the image.',
  AlreadyFlashed: 'It was upgraded to this revision and runs something else again.',
  RolledBack: 'It came back with its old release after a flash.',
  WrongVersion: 'It came back with an unexpected release after a flash.',
  Unhealthy: 'It came back unhealthy after a flash.',
  Lost: 'It never came back from a flash.',
  Cancelled: 'Its operation was cancelled by the operator.',
  Halted: 'Starts are stopped by the HALT file.',
  LostLimit: 'Too many devices were lost in a day; starts are stopped until acknowledged.',
  WaitingForSlot:
    'As many upgrades are in flight as are allowed. In `status.blocked` also while starts are stopped, which the policy says: a stop writes no device.',
  WaitingForStart: 'As many flashes were started in the last minute, or are about to be, as are allowed.',
} as const satisfies Record<string, string>

export type BlockedReason = keyof typeof blockedReasons

/**
 * Reasons that are trouble with one device, and not an order, a limit or a step of its upgrade. `Person`: it stays until
 * somebody changes something; `Passing`: it may go away by itself.
 */
export const troubles: Readonly<Partial<Record<BlockedReason, 'Person' | 'Passing'>>> = {
  PolicyConflict: 'Person',
  NoImage: 'Person',
  AmbiguousImage: 'Person',
  NoCredentials: 'Person',
  AuthFailed: 'Person',
  HostKeyChanged: 'Person',
  IdentityChanged: 'Person',
  Unsupported: 'Person',
  AddressConflict: 'Person',
  UnknownVersion: 'Person',
  Downgrade: 'Person',
  HopNotAllowed: 'Person',
  Rejected: 'Person',
  AlreadyFlashed: 'Person',
  RolledBack: 'Person',
  WrongVersion: 'Person',
  Unhealthy: 'Person',
  Lost: 'Person',
  Cancelled: 'Person',
  NeverProbed: 'Passing',
  Retrying: 'Passing',
  Quarantined: 'Passing',
  Unreachable: 'Passing',
}

interface ConditionRow {
  kinds: readonly Kind[]
  says: string
  /** Reasons with what they say, by the status that goes with them. */
  reasons: Readonly<Partial<Record<'True' | 'False' | 'Unknown', Readonly<Record<string, string>>>>>
}

const everyKind = [
  'Category',
  'Build',
  'FirmwareImage',
  'Device',
  'UpgradePolicy',
  'UpgradeOperation',
] as const
const missing = 'Something that it refers to does not exist: the message names it.'
const contradiction = 'It contradicts another object: the message names that.'
const malformed = 'What its file says now is refused; what it said before stays in force.'
const imageFaults = {
  DigestMismatch: 'The file has another SHA-256 than the declared one.',
  ImageInvalid:
    'The file is no image that may be used: damaged, without boards, or of another release than its Build.',
  PathOutsideRoot: 'The path leads out of the folders that images may come from.',
  UrlRefused: 'The URL, or one that it redirects to, is not allowed.',
  TooLarge: 'The file is larger than `--max-image-size` allows.',
}

/** What each condition says, on which kinds, and its reasons; the docs and a test read this table. */
export const conditions = {
  Ready: {
    kinds: everyKind,
    says: 'The object can be used as it is; for an UpgradeOperation, that it has succeeded.',
    reasons: {
      True: {
        Accepted: 'What it refers to is there; for a Build, an image is ready as well.',
        ImageReady: 'The file has been checked, and the boards that may get it are known.',
        Succeeded: 'The device came back with the release of the target.',
        AlreadyOnTarget: 'The device ran the target before anything was sent.',
      },
      False: {
        Invalid: malformed,
        NotFound: missing,
        Conflict: contradiction,
        NoImages: 'No image of the Build is ready.',
        ...imageFaults,
        FetchFailed: 'The file could not be fetched; it is tried again.',
        Failed: 'The operation has ended without its target: see `status.failureClass`.',
        Cancelled: 'The operation was ended before its flash.',
      },
      Unknown: {
        Loading: 'The file is being fetched and checked.',
        InProgress: 'The operation is under way: see `status.phase`.',
      },
    },
  },
  Reconciling: {
    kinds: ['Build', 'FirmwareImage', 'UpgradePolicy', 'UpgradeOperation'],
    says: 'Work goes on that ends by itself. Present only while it is True.',
    reasons: {
      True: {
        Loading: 'Images are being fetched and checked.',
        Progressing: 'Devices are left that may still come to the target.',
        InProgress: 'The operation is under way.',
      },
    },
  },
  Stalled: {
    kinds: everyKind,
    says: 'Nothing goes on until a person changes something. Present only while it is True.',
    reasons: {
      True: {
        Invalid: malformed,
        NotFound: missing,
        Conflict: contradiction,
        ...imageFaults,
        AuthFailed: 'The device refuses the credentials.',
        HostKeyChanged:
          'The device shows another host key than the one pinned; list the new one in `spec.hostKeys`.',
        IdentityChanged:
          'Another device answers at this address; list its host key in `spec.hostKeys` to accept it.',
        Unsupported: 'The device cannot be talked to as it is configured.',
        OnlyFailuresLeft: 'Every device that is off the target needs a person.',
        Failed: 'The operation has failed.',
        Cancelled: 'The operation was cancelled.',
      },
    },
  },
  Reachable: {
    kinds: ['Device'],
    says: 'The device answered the last probe.',
    reasons: {
      True: { Answered: 'It answered.' },
      Unknown: { NotAnswering: 'It did not; it is asked again at `status.nextProbeTime`.' },
    },
  },
  UpToDate: {
    kinds: ['Device'],
    says: 'The device runs the build that it should run.',
    reasons: {
      True: {
        OnTarget: 'It does.',
        SameRelease: 'Several builds look the same to it; nothing is flashed between them.',
      },
      False: { NotOnTarget: 'It does not: see `status.blocked`.' },
      Unknown: {
        NoTarget: 'No policy selects it.',
        NotProbed: 'It has not been reached yet.',
      },
    },
  },
  Converged: {
    kinds: ['UpgradePolicy'],
    says: 'Every selected device runs the target, those that are held apart.',
    reasons: {
      True: { AllOnTarget: 'They do.' },
      False: {
        WorkLeft: 'Some do not: see `status.counts`.',
        NoDevices: 'The selector matches no device.',
      },
    },
  },
  Paused: {
    kinds: ['UpgradePolicy'],
    says: 'The policy starts nothing. Present only while it is True.',
    reasons: {
      True: {
        Requested: 'Its `state` is `Pause`.',
        Aborted: 'Its `state` is `Abort`.',
        Halted: 'Starts are stopped by the HALT file.',
        LostLimit: 'Too many devices were lost in a day; starts are stopped until that is acknowledged.',
      },
    },
  },
  Degraded: {
    kinds: ['UpgradePolicy'],
    says: 'Upgrades of this policy have failed. Present only while it is True.',
    reasons: { True: { Failures: 'See `status.topFailures`.' } },
  },
  Unsigned: {
    kinds: ['FirmwareImage'],
    says: 'No signature vouches for the image. Present only while it is True.',
    reasons: { True: { NoSignaturePolicy: 'Nothing but its digest does.' } },
  },
} as const satisfies Record<string, ConditionRow>

export type ConditionType = keyof typeof conditions

/** The reasons that a condition may have. */
export const reasonsOf = (type: ConditionType): string[] =>
  Object.values<Readonly<Record<string, string>>>(conditions[type].reasons).flatMap((reasons) =>
    Object.keys(reasons),
  )
