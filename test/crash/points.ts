import type { Point } from './world.ts'

const each = (name: string, whens: readonly Point['when'][], nth = 1): Point[] =>
  whens.map((when) => ({ when, name, nth }))
const write = (name: string, nth?: number): Point[] => each(name, ['before', 'after'], nth)
const command = (name: string, nth?: number): Point[] => each(name, ['before', 'unanswered', 'after'], nth)

/** Every durable write and every command of an upgrade, by what has to happen to a fleet for it to occur. */
export const points = {
  /** Nothing goes wrong. */
  plain: [
    ...['Category', 'Build', 'FirmwareImage', 'Device', 'UpgradePolicy'].flatMap((kind) => [
      ...write(`apply ${kind}`),
      ...write(`status of ${kind}`),
    ]),
    ...command('probe'),
    ...write('create UpgradeOperation'),
    ...write('create UpgradeOperation', 2),
    ...write('claim'),
    ...write('claim', 2),
    ...write('phase Connecting'),
    ...write('phase Connecting', 2),
    // Its second look at a device is the check before the upload.
    ...command('probe', 2),
    ...command('place'),
    ...command('upload'),
    ...each('upload', ['during']),
    ...command('test'),
    ...write('phase Flashing'),
    ...write('phase Flashing', 2),
    ...each('guard', ['before', 'arrived', 'unanswered', 'after']),
    ...write('phase Rebooting'),
    ...write('phase Rebooting', 2),
    // The third one is after the start.
    ...command('probe', 3),
    ...write('phase Succeeded'),
    ...write('phase Succeeded', 2),
    ...write('free'),
    ...write('free', 2),
  ],
  /** A device has no room until services are stopped, and then its image arrives damaged. */
  scarce: [
    ...command('stop-services'),
    ...command('abandon'),
    ...write('phase Queued'),
    ...command('upload', 2),
  ],
  /** sysupgrade dies right after its start. */
  dies: [...command('log'), ...command('clear'), ...write('phase Queued'), ...write('phase Flashing', 3)],
  /** Releases without sha256sum. */
  old: command('adopt'),
  /** A device boots its old release again. */
  'falls back': [...each('guard', ['unanswered', 'after']), ...write('phase Failed'), ...write('free')],
  /** A device does not come back. */
  lost: [...write('put record'), ...write('phase Failed'), ...write('free')],
  /** The manifest of an upgraded device is taken away. */
  removed: [...write('delete Device'), ...write('put record'), ...write('finalizers of Device')],
  /** It is put back. */
  returned: [...write('apply Device'), ...write('status of Device'), ...write('delete record')],
} as const satisfies Record<string, readonly Point[]>

export type ScenarioName = keyof typeof points

/** In a cluster others write what is declared. */
const isOfOthers = ({ name }: Point): boolean => name.startsWith('apply ') || name === 'delete Device'
const finalizers = (...kinds: string[]): Point[] => kinds.flatMap((kind) => write(`finalizers of ${kind}`))
/** Objects that others made are kept until their end has been seen to. */
const ofCluster: Partial<Record<ScenarioName, Point[]>> = {
  plain: finalizers('Build', 'FirmwareImage', 'Device'),
  returned: finalizers('Device'),
}

/** The same for the home in a cluster. */
export const clusterPoints = Object.fromEntries(
  Object.entries(points).map(([name, listed]) => [
    name,
    [...listed.filter((point) => !isOfOthers(point)), ...(ofCluster[name as ScenarioName] ?? [])],
  ]),
) as Record<ScenarioName, Point[]>

/** Writes that nothing hangs on: phases between the durable ones, written when a second has passed, and messages. */
export const coalesced = new Set([
  'phase Checking',
  'phase Uploading',
  'phase Testing',
  'phase Verifying',
  'status of UpgradeOperation',
])
