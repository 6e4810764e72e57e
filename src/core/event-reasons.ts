/**
 * Why an event was recorded: the closed list behind the REASON column of `kubectl describe`. Each with what it says;
 * a step that adds no words of its own is told in these.
 */
export const eventReasons = {
  // Operations: each phase, and what sends one back to the queue.
  Created: 'A policy has made the operation.',
  Queued: 'The operation waits.',
  Retrying: 'An attempt failed before the flash; another follows.',
  Connecting: 'The device is being connected to.',
  Checking: 'The device has answered; it is compared with the image.',
  Uploading: 'The checks have passed; the image is being sent.',
  Testing: 'The image has arrived whole; the device tests it with the options of the real run.',
  Flashing: 'The start is sent; from here on nothing is interrupted.',
  Rebooting: 'The device is silent on purpose while it writes and reboots.',
  Verifying: 'The device is back; it is compared with what the flash was to bring.',
  Succeeded: 'The target was read back over a new connection.',
  Failed: 'The operation has ended without its target; the message begins with the failure class.',
  Cancelled: 'The operation was ended before its flash.',
  // Devices.
  FirstSeen: 'The device has answered for the first time; its host keys are pinned.',
  Reachable: 'The device answers again.',
  Unreachable: 'The device does not answer.',
  UpToDate: 'The device runs its target now.',
  Blocked: 'Something of this device speaks against its upgrade; the message begins with the reason.',
  UpgradeStarted: 'An operation has begun to work on the device.',
  FlashStarted: 'The device is being flashed.',
  UpgradeSucceeded: 'An operation has brought the device to its target.',
  UpgradeFailed: 'An operation has failed; the message begins with the failure class.',
  UpgradeLost: 'The device has not come back from a flash.',
  UpgradeCancelled: 'An operation was ended before its flash.',
  // Policies.
  Progressing: 'The policy has devices to upgrade.',
  Converged: 'Every device of the policy is on its target.',
  Degraded: 'A device of the policy has failed.',
  Paused: 'The policy is paused: it starts nothing.',
  Aborted: 'The policy is aborted: what is before its flash is cancelled.',
  Halted: 'Starts are stopped by the HALT file.',
  LostLimit: 'Too many devices were lost in a day; starts are stopped until acknowledged.',
  Resumed: 'The policy may start upgrades again.',
  OnlyFailuresLeft: 'What is left to do needs a person.',
  // Categories, builds and images.
  Ready: 'The object is accepted and can be used.',
  NoImages: 'The build has no image that is ready any more.',
  // What needs a person: the reasons of the condition Stalled.
  Invalid: 'A file or an object is not accepted as it is.',
  NotFound: 'Something that the object refers to does not exist.',
  Conflict: 'Two objects contradict each other.',
  DigestMismatch: 'The image is not the one whose digest was declared.',
  ImageInvalid: 'The image is damaged, or does not fit its build.',
  PathOutsideRoot: 'The path of the image leads out of the directory.',
  UrlRefused: 'The URL of the image is not allowed.',
  TooLarge: 'The image is larger than allowed.',
  FetchFailed: 'The image could not be fetched; it is tried again.',
  AuthFailed: 'The device refuses the credentials.',
  HostKeyChanged: 'The device shows another host key than the one pinned.',
  IdentityChanged: 'Another device answers at this address.',
  Unsupported: 'The device cannot be talked to as it is configured.',
  // The whole, told on a namespace: `default`, or in a cluster that of the controller.
  Started: 'Reflash has started.',
  Listening: 'The API is served.',
  LeaderElected: 'This replica leads now: it alone starts upgrades.',
  ElectionFailed: 'The Lease cannot be read or written; it is tried again.',
  LeadershipEnded: 'This replica does not lead any more; another one may.',
  RevisionTaken: 'A revision of the directory is in force.',
  DirectoryVanished: 'The directory is gone or empty; nothing is removed.',
  DirectoryRestless: 'The directory does not come to rest; the last revision stays in force.',
  SuspiciousRevision: 'A revision removes many devices at once.',
  NotEncrypted: 'The API can be reached by others, and is not encrypted.',
  TokenFileInvalid: 'The token file cannot be used; the tokens from before stay in use.',
  TokenRefused: 'A request had no valid token; told at most once a minute.',
  ReviewFailed:
    'The API server cannot be asked who may read the API, so nobody may; told at most once a minute.',
  CertificateInvalid: 'The TLS files cannot be used; the ones before stay in use.',
  StateFull: 'The disk of the state file is full; nothing starts until there is room, and then all goes on.',
  EventsNotKept: 'Events cannot be written to the state file; they are kept in memory.',
  EventsNotPublished: 'Events cannot be written to the cluster; the log has them.',
  StoreInterrupted: 'Changes of a kind are not heard of for now; it is tried again.',
  InternalError: 'A bug in Reflash; the log has more. It is tried again.',
} as const satisfies Record<string, string>

export type EventReason = keyof typeof eventReasons

/** Whether a reason has a meaning in the table. */
export const isEventReason = (reason: string): reason is EventReason => Object.hasOwn(eventReasons, reason)
