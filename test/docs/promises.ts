/** A test by its file and its name, or as much of its name as stands in the file. */
export type NamedTest = readonly [file: string, name: string]

/** What an operator may rely on. */
export interface Promised {
  /** Never given to another promise: the patches of test/bugs refer to it. */
  number: number
  title: string
  promise: string
  kept: string
  /** Tests of whole fleets, real processes and real programs; those of the planted mistakes come from their patches. */
  tests: readonly NamedTest[]
}

const fleets: NamedTest = ['test/simulation/fleet.test.ts', 'worlds of routers that misbehave']
const model: NamedTest = [
  'test/model/exhaustive.test.ts',
  'no order of events starts a device without its intent, twice at once, or flashes it twice',
]
const reboots: NamedTest = [
  'test/end-to-end/namespace-routers.test.ts',
  'are planned, upgraded once each, and then left alone',
]
const killed: NamedTest = ['test/crash/kill.test.ts', 'killed and restarted']

export const promises: readonly Promised[] = [
  {
    number: 1,
    title: 'No wrong image is flashed',
    promise:
      'A router is flashed with the bytes whose SHA-256 was decided on, and only if these are for its board.',
    kept: 'Five checks that do not know of each other: the digest names the file in the cache, the metadata in the image is compared with what is declared, the board is read before the upload, the guard reads board and digest anew on the router, and `sysupgrade -T` runs with the very options of the flash. Nothing is ever forced.',
    tests: [
      fleets,
      reboots,
      ['test/upgraders/device-scripts.test.ts', 'refuses another image than the one that was decided on'],
    ],
  },
  {
    number: 2,
    title: 'Nothing is flashed twice',
    promise:
      'A device gets one revision of a policy at most once, whatever crashes, until its `retryToken` is changed.',
    kept: 'The intent is on disk before the start, and the guard compares the boot id on the router itself: a start that is late, doubled or meant for another boot does nothing. After the intent there is only looking. The marker on the router remembers what the state file may have lost.',
    tests: [
      [
        'test/upgraders/guard-rounds.test.ts',
        'have exactly one start each, whatever the operations are called',
      ],
      model,
      fleets,
      killed,
      reboots,
    ],
  },
  {
    number: 4,
    title: 'Limits hold',
    promise: 'No more upgrades are in flight, and no more begin in a minute, than the policy allows.',
    kept: 'One function admits, on leaving the queue and again right before the guard. What has left the queue and has not ended counts, and so does what is not known. A limit that is absent is a default, never none.',
    tests: [fleets, ['test/controllers/upgrade.test.ts', 'keeps to maxConcurrent']],
  },
  {
    number: 5,
    title: 'A success is true',
    promise: '`Succeeded` says that the device, since a new boot, runs the release that was meant.',
    kept: 'The verdict comes from a probe over a new connection: same device, another boot id, the release of the image read back. What the flash itself said does not count, and a dropped link is neither success nor failure.',
    tests: [
      ['test/core/verdict-oracle.test.ts', 'an operation has Succeeded on no other evidence'],
      fleets,
      ['test/core/verdict.test.ts', 'a verdict'],
    ],
  },
  {
    number: 6,
    title: 'It may be killed at any moment',
    promise:
      'After SIGKILL at any instant the next run goes on, and no router is flashed twice or forgotten.',
    kept: 'Nothing that matters is in memory alone. Each turn reads state and router again, decides by a pure function, writes, and only then acts.',
    tests: [
      killed,
      ['test/crash/kill-again.test.ts', 'killed one time after the other'],
      ['test/cluster/kill.test.ts', 'the list of points'],
    ],
  },
  {
    number: 7,
    title: 'The power may fail',
    promise: 'After a power cut every start that reached a router has its intent on the disk.',
    kept: 'SQLite runs with a write-ahead log and `synchronous=FULL`, set and read back after a write; one process holds the file; a new file is made beside its place and renamed. Network file systems are refused.',
    tests: [
      ['test/stores/power-cut.test.ts', 'at any moment'],
      ['test/stores/crash.test.ts', 'has a flush to the disk before each write that is said to be kept'],
    ],
  },
  {
    number: 8,
    title: 'A damaged state decides nothing',
    promise: 'A bit that flipped in a row that decides is found, and nothing starts because of it.',
    kept: 'Each row carries a checksum of its own, compared whenever it is read; SQLite finds the rest. A torn or damaged end of its log reads as the state of an earlier commit, which is that of promise 9. After an error of the disk the file is not trusted again, and the process ends with exit code 74.',
    tests: [
      ['test/stores/damaged-files.test.ts', 'whatever happens to a state file is found, or changes nothing'],
      ['test/stores/corruption.test.ts', 'anywhere in the file is found, or changes nothing'],
    ],
  },
  {
    number: 9,
    title: 'An old or lost state file flashes nothing again',
    promise:
      'With the state of yesterday, or none, what was upgraded since is left alone, and so is what fell back.',
    kept: 'What a router runs decides, not what is remembered of it. The marker that the guard left on the router names the last upgrade begun there: one that fell back is `RolledBack`, whatever the state says.',
    tests: [
      ['test/crash/kill-again.test.ts', 'killed, and the state file deleted'],
      ['test/crash/kill.test.ts', 'killed and restarted'],
      [
        'test/end-to-end/namespace-routers.test.ts',
        'are not flashed again when the state is lost and one has fallen back',
      ],
      ['test/simulation/fleet.test.ts', 'none is flashed twice'],
    ],
  },
  {
    number: 10,
    title: 'Without the API server nothing starts',
    promise:
      'In a cluster a controller that is cut off, or sees old objects, starts nothing; what is in flight is still judged.',
    kept: 'No start without a write that the API server accepted with the version that was read. Who cannot write cannot start; the verdict is written when it can be reached again.',
    tests: [
      ['test/simulation/cluster.test.ts', 'flash nothing twice and miss nothing'],
      ['test/cluster/fence.test.ts', 'controllers without an election'],
      ['test/cluster/wire.test.ts', 'the harms of a wire to the API server'],
      ['test/cluster/chaos.test.ts', 'trouble on the way to the API server'],
    ],
  },
  {
    number: 11,
    title: 'Two controllers do no harm',
    promise: 'Two that both believe they lead, one of them paused for minutes, flash no device twice.',
    kept: 'The lease only saves work. A device is claimed by compare-and-swap, an operation has a name that can be made once, and the guard on the router lets one start through. A state file is held by one process.',
    tests: [
      ['test/crash/pause.test.ts', 'stopped for a while'],
      model,
      ['test/simulation/cluster.test.ts', 'controllers %s flash nothing twice and miss nothing'],
      ['test/cluster/fence-by-hand.test.ts', 'two controllers without an election do each of them once'],
      ['test/upgraders/device-scripts.test.ts', 'has exactly one start of four, two hundred times'],
    ],
  },
  {
    number: 12,
    title: 'A clock that jumps does no harm',
    promise: 'A wall clock that is set forward or back starts nothing too late and stops nothing for good.',
    kept: 'What takes a time is measured by the monotonic clock, and the latest moment of a start by the uptime of the router. The wall clock is used for what people read and for dates alone.',
    tests: [
      [
        'test/bad-inputs/time.test.ts',
        'while a device is flashed judges it all the same, and lets the next one start',
      ],
      ['test/core/operation.test.ts', 'a wall clock that was set back stops nothing'],
    ],
  },
  {
    number: 13,
    title: 'A full disk loses no verdict',
    promise:
      'A write that does not fit fails whole: nothing starts without it, and what was written before stays.',
    kept: 'The store refuses what could not be written. A flash in flight is looked at again when there is room, and the router itself says what came of it.',
    tests: [
      ['test/stores/failing-disk.test.ts', 'loses the write that did not fit, and nothing else'],
      ['test/crash/disk-full.test.ts', 'a disk that is full'],
      ['test/cluster/disk-full.test.ts', 'starts nothing, says why, and ends well with room'],
    ],
  },
  {
    number: 14,
    title: 'An image that was changed is not used',
    promise:
      'Bytes that are not those of the digest are never sent to a router, nor flashed when they change on the way.',
    kept: 'An image is hashed while it is fetched and again while it is sent, from the same open file; the router hashes what arrived, and the guard once more before the start. Digests are whole, and sizes capped.',
    tests: [
      ['test/images/image-store.test.ts', 'a cached image'],
      ['test/upgraders/device-scripts.test.ts', 'cannot swap the image under a running upgrade'],
    ],
  },
  {
    number: 15,
    title: 'A hostile router harms nobody else',
    promise: 'What a router says is never run, never shown raw, and never keeps Reflash from other routers.',
    kept: 'Every answer has a deadline and a size, is parsed by a closed schema, and is stored as printable ASCII. No word of it becomes part of a later command; nothing is fetched from routers as files.',
    tests: [
      [
        'test/hostile/twenty-behaviours.test.ts',
        'the twenty behaviours of hostile routers, each through a whole upgrade',
      ],
      ['test/ssh/hostile.test.ts', 'a command of a hostile device'],
      ['test/core/printable.test.ts', 'is printable ASCII of at most the given length'],
    ],
  },
  {
    number: 17,
    title: 'A half-written directory is not acted on',
    promise: 'A checkout in the middle of `git pull`, or a file cut at any byte, changes nothing.',
    kept: 'A revision is what two looks in a row saw, with no lock of git. What is broken keeps its last good version, a directory that vanished removes nothing, and a policy without limits has the defaults.',
    tests: [
      [
        'test/files/parse-file.test.ts',
        'a policy cut at any byte has no limit beyond its own and the defaults',
      ],
      ['test/files/directory-source.test.ts', 'never takes up a file that changes between two looks'],
    ],
  },
  {
    number: 18,
    title: 'One bad object stops no other',
    promise:
      'A file that is broken, an object that is refused, or a bug in one turn leaves all others at work.',
    kept: 'Each object is parsed and validated for itself and each key has turns of its own. A bug is told, counted, and tried again after five minutes; no input ends the process.',
    tests: [
      ['test/bad-inputs/directory.test.ts', 'a directory into which comes'],
      ['test/controllers/work-queue.test.ts', 'is a bug: it is told, waits long, and stops no other key'],
      ['test/files/parse-file.test.ts', 'of any kind is never thrown at'],
    ],
  },
  {
    number: 19,
    title: 'A hostile client of the API changes nothing',
    promise: 'No request changes anything, and no client takes the API from others.',
    kept: 'There is GET and HEAD alone, and no body is read. Heads, paths, connections, watches and waiting are limited, and what is sent waits until it is taken.',
    tests: [
      ['test/server/any-request.test.ts', 'change nothing, and each is answered as clients expect'],
      ['test/server/any-bytes.test.ts', 'rounds of bytes of any kind harm nothing'],
    ],
  },
  {
    number: 20,
    title: 'A leaked token only reads',
    promise:
      'A token of the API shows what its scopes and namespaces allow, until its end, and can start nothing.',
    kept: 'Of a token the hash is kept, compared in constant time. Scopes, namespaces and an end belong to it, and guessing is slowed down. In a cluster the API server decides, for each kind and namespace.',
    tests: [
      ['test/server/token-gate.test.ts', 'ends at its time'],
      ['test/server/any-request.test.ts', 'learn nothing without a token'],
    ],
  },
  {
    number: 23,
    title: 'The right device is talked to',
    promise: 'No image and no password goes to a host that shows another key than the one pinned.',
    kept: 'Every host key is pinned at first sight, or listed; any other ends the connection before the login, also after a flash. The set of MAC addresses must be that of before.',
    tests: [
      ['test/hostile/host-keys.test.ts', 'a device that is known by its host keys'],
      ['test/ssh/hostile.test.ts', 'the wrong host key gets no authentication, not even a name'],
      ['test/ssh/dropbear.test.ts', 'another key is refused before anything is sent'],
    ],
  },
  {
    number: 24,
    title: 'Lost is not failed',
    promise:
      'A router that did not come back is looked at for 30 days and judged when it answers; it is not flashed meanwhile.',
    kept: '`Lost` is a verdict that a later look may correct, and no other. It holds no slot, but counts against the losses of the day.',
    tests: [
      ['test/bad-inputs/time.test.ts', 'returns after 20 days was lost, and has then succeeded after all'],
      fleets,
      [
        'test/controllers/upgrade.test.ts',
        'that never comes back is Lost, holds no slot, and is corrected when it returns',
      ],
    ],
  },
  {
    number: 25,
    title: 'Every device is done or explained',
    promise:
      'A device that is off its target is upgraded in the end, or has one reason from a closed list why not.',
    kept: 'The list of checks is total, `reflash why` asks the very function that admits, and whoever waits has a time or a change that wakes it.',
    tests: [
      fleets,
      ['test/simulation/cluster.test.ts', 'flash nothing twice and miss nothing'],
      ['test/simulation/prompt.test.ts', 'the whole fleet goes ahead at once'],
    ],
  },
  {
    number: 26,
    title: 'Git cannot lift the ceiling',
    promise: 'Flags of the command line, HALT and the limit of losses hold for any manifest.',
    kept: 'The governor is outside of the directory: upgrades in flight, starts a minute, losses a day. The losses are on disk and stop all starts until a person names their day. HALT stops starts within a second.',
    tests: [
      ['test/crash/stops.test.ts', 'told to start nothing'],
      ['test/cluster/stops.test.ts', 'a leader told to start nothing'],
      ['test/controllers/governor.test.ts', 'stay latched over restarts and days'],
      [
        'test/controllers/governor.test.ts',
        'HALT is told in its own words, before losses, and passes when it is gone',
      ],
    ],
  },
  {
    number: 27,
    title: 'Secrets stay where they are',
    promise:
      'What is in a Secret is in no log, no event, no status, no answer of the API and no argument of a process.',
    kept: 'Secrets are read at use and pass by the store. Errors are made of a closed set of words; none quotes what it was given.',
    tests: [
      ['test/cluster/secrets-nowhere.test.ts', 'what is in a Secret appears nowhere but in the Secret'],
      ['test/end-to-end/secrets-nowhere.test.ts', 'what is in a Secret appears nowhere'],
    ],
  },
  {
    number: 28,
    title: 'Namespaces do not reach each other',
    promise: 'Objects, Secrets and readers of one namespace have no part in another.',
    kept: 'References have no field for a namespace. In a cluster the account of the controller may get Secrets by name alone, where a role was bound, and the API asks the cluster for each namespace.',
    tests: [
      ['test/controllers/namespaces.test.ts', 'an operation upgrades no Device of another namespace'],
      ['test/cluster/rights.test.ts', 'is refused everything but its rights'],
    ],
  },
  {
    number: 30,
    title: 'What happened can be told',
    promise: 'Each upgrade says what was run, when, in which boot, and what the router said last.',
    kept: 'The status of an operation has a time for each phase, the exact command, both boot ids and the last 40 lines; events tell the rest.',
    tests: [
      ['test/server/log-routes.test.ts', 'an operation from before this process'],
      ['test/core/log-lines.test.ts', 'keeps the last 40 lines'],
    ],
  },
]

/** What somebody might take for promised. */
export const notPromised: Readonly<Record<number, readonly [title: string, why: string]>> = {
  3: [
    'No start outside its window',
    'There are no maintenance windows. What is there already, a latest uptime for each start, is tested with 2 and 12.',
  ],
  16: [
    'Who may write to git cannot harm the fleet',
    'The governor bounds how fast, and nothing bounds what: there are no signatures and no approvals. Protect the branch.',
  ],
  21: [
    'An old revision of git is refused',
    'An older revision is followed like any other; the policy must say `allowDowngrade` before a router goes back.',
  ],
  22: [
    'Keys are rotated by themselves',
    'A [runbook](runbooks.md#the-ssh-key-is-to-be-changed) says how; nothing of it is automatic.',
  ],
  29: ['A release is what its source says', 'Nothing is published with signatures or provenance.'],
}
