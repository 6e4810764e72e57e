/**
 * The scripts that run on the device, for any busybox ash since 12.09. Each is sent on standard input to
 * `sh -s -- NAME ARGS…`, so that no script text stands in the argument list, where `pgrep` would find it; the upload
 * alone needs its standard input for the image. Answers are framed: a line `@name` before each part, `@end` last, so that
 * an answer that was cut off is recognised.
 */

/** Where things are on the device. All of it but the marker is gone after a reboot. */
export const devicePaths = {
  image: '/tmp/reflash.bin',
  part: '/tmp/reflash.part',
  md5: '/tmp/reflash.md5',
  stopped: '/tmp/reflash.stopped',
  lock: '/tmp/reflash.lock',
  log: '/tmp/reflash.log',
  marker: '/etc/reflash/last',
} as const

/** Brackets keep a pattern from finding the shell that looks for it. Where nobody can tell, one may be running. */
const isRunning = `busy() { pgrep -f 'sbin/[s]ysupgrade|sbin/[u]pgraded' >/dev/null 2>&1; [ $? != 1 ]; }`

/**
 * The lock is the file with the highest number; it holds the uptime after which it is void, and who has it: last, for a
 * name may contain anything. A file is only ever created by \`ln\`, which fails when it exists, so one starter wins every number, takeovers included; and none is
 * removed before the reboot, so that no number is won twice. Whoever touches the image or the marker holds it.
 */
const lock = `${isRunning}
L=/tmp/reflash.lock
uptime_is() { read -r up rest </proc/uptime; up=\${up%%.*}; }
latest() {
  n=0 holder= until=-1
  while [ -e "$L.$((n + 1))" ]; do n=$((n + 1)); done
  [ "$n" = 0 ] || read -r until holder <"$L.$n"
}
take() {
  latest; uptime_is
  [ "$up" -gt "$until" ] || return 1
  echo "$2 $1" >"$L.new.$$" && ln "$L.new.$$" "$L.$((n + 1))" 2>/dev/null; won=$?
  rm -f "$L.new.$$"; n=$((n + 1))
  return "$won"
}
give_back() { echo '-1 -' >"$L.void.$$" && mv "$L.void.$$" "$L.$n"; }
hold() {
  uptime_is; take "$1" $((up + 60)) || return 1
  busy || return 0
  give_back; return 1
}`

const readMemory = `memory() {
  echo @meminfo; grep -E '^(MemFree|MemAvailable|Buffers|Cached):' /proc/meminfo
  echo @tmp; df -k /tmp
}`

/** Services that hold memory and that nobody misses for a minute, with the process that shows each is running. */
export const stoppableServices = {
  uhttpd: 'uhttpd',
  rpcd: 'rpcd',
  cron: 'crond',
  odhcpd: 'odhcpd',
  dnsmasq: 'dnsmasq',
  log: 'logd',
} as const

/** Starts again exactly what was stopped, and removes what was uploaded unless it is to stay. */
const putBack = `put_back() {
  if [ -f /tmp/reflash.stopped ]; then
    keep=no
    while read -r s; do
      case "$s" in ${Object.keys(stoppableServices).join('|')}) /etc/init.d/"$s" start </dev/null >/dev/null 2>&1;; esac
    done </tmp/reflash.stopped
    rm -f /tmp/reflash.stopped
  fi
  rm -f /tmp/reflash.part
  [ "$keep" = yes ] || rm -f /tmp/reflash.bin /tmp/reflash.md5
}`

/** No arguments. Prints what the device is and runs; changes nothing. */
const probe = `${isRunning}
${readMemory}
echo @release; cat /etc/openwrt_release 2>/dev/null; echo
echo @board; cat /tmp/sysinfo/board_name 2>/dev/null; echo
echo @model; cat /tmp/sysinfo/model 2>/dev/null; echo
echo @boot_id; cat /proc/sys/kernel/random/boot_id; echo
echo @uptime; cat /proc/uptime
memory
echo @compat; uci -q get 'system.@system[0].compat_version'; echo
echo @macs; for d in /sys/class/net/*; do [ -e "$d/device" ] && cat "$d/address"; done 2>/dev/null
echo @serial; cat /proc/device-tree/serial-number /sys/class/dmi/id/product_serial 2>/dev/null | tr -d '\\000'; echo
echo @marker; cat /etc/reflash/last 2>/dev/null; echo
echo @leftovers; for f in /tmp/reflash.stopped /tmp/reflash.part /tmp/reflash.bin; do [ -e "$f" ] && echo "$f"; done
echo @upgrading; { busy || pgrep -f 'sh -s -- [g]uard' >/dev/null 2>&1; } && echo yes
echo @end
`

/** Arguments: sha256. Says whether that image is in place (\`present\`, \`absent\`) or an upgrade runs (\`busy\`), and the room. */
const place = `${lock}
${readMemory}
echo @state
if ! hold place; then echo busy
else
  rm -f /tmp/reflash.part
  if [ -f /tmp/reflash.bin ] && h=$(sha256sum </tmp/reflash.bin 2>/dev/null) && [ "\${h%% *}" = "$2" ]; then echo present
  else rm -f /tmp/reflash.bin /tmp/reflash.md5; echo absent
  fi
  give_back
fi
memory
echo @end
`

/** No arguments. Stops services to make room, each noted on the device before it is stopped; prints the room. */
const stopServices = `${readMemory}
stop() {
  [ -x "/etc/init.d/$1" ] && pidof "$2" >/dev/null 2>&1 || return 0
  echo "$1" >>/tmp/reflash.stopped
  /etc/init.d/"$1" stop </dev/null >/dev/null 2>&1
}
${Object.entries(stoppableServices)
  .map(([service, process]) => `stop ${service} ${process}`)
  .join('\n')}
rm -rf /tmp/opkg-lists
sync; echo 3 >/proc/sys/vm/drop_caches 2>/dev/null
memory
echo @end
`

/**
 * Runs as \`sh -c UPLOAD reflash-upload SHA256\` with the image on standard input. Prints \`@sha256 HEX\` and moves the
 * image into place when that is the digest; a device without sha256sum prints \`@md5 HEX\` and leaves it to \`adopt\`.
 * Exit 7: it could not be written; 8: a start is under way, which must find the image as it was.
 */
export const uploadScript = `umask 077
${lock}
cat >/tmp/reflash.part || { rm -f /tmp/reflash.part; exit 7; }
if h=$(sha256sum </tmp/reflash.part 2>/dev/null); then
  h=\${h%% *}; echo "@sha256 $h"
  if [ "$h" = "$1" ]; then
    hold upload || { rm -f /tmp/reflash.part; exit 8; }
    mv /tmp/reflash.part /tmp/reflash.bin; c=$?; give_back
    [ "$c" = 0 ] || exit 7
  else rm -f /tmp/reflash.part; fi
else
  h=$(md5sum </tmp/reflash.part); echo "@md5 \${h%% *}"
fi
echo @end`

/**
 * Arguments: md5, sha256. Moves an image whose md5 the controller has compared into place, and notes for the guard which
 * image has that md5. Prints \`@busy\` instead when a start is under way.
 */
const adopt = `umask 077
${lock}
if hold adopt; then
  echo "$2 $3" >/tmp/reflash.md5 && mv /tmp/reflash.part /tmp/reflash.bin; c=$?; give_back
  [ "$c" = 0 ] || exit 7
else echo @busy; fi
echo @end
`

/** Arguments: options of sysupgrade. Prints the end of what the test said, and \`@exit CODE\`. */
const test = `shift
sysupgrade -T "$@" /tmp/reflash.bin </dev/null >/tmp/reflash.test 2>&1
c=$?
echo @output; tail -c 4000 /tmp/reflash.test; echo
echo "@exit $c"
echo @end
`

/**
 * Arguments: operation, boot id, board, release revision, sha256, latest uptime in seconds, options of sysupgrade.
 * Compares all of it, takes the lock, tests, writes the marker and starts sysupgrade, detached. Prints \`GUARD CODE\`:
 * 0 started, 90 another boot, 91 another board, 92 another release, 93 too late, 94 locked by another start, 95 another
 * image, 96 an upgrade runs, 97 the test refused, 98 nothing could be started.
 * The lock outlives the latest uptime, so that whoever takes it over meets no start on its way.
 */
const guard = `op=$2 boot=$3 board=$4 rev=$5 sum=$6 max=$7; shift 7
img=/tmp/reflash.bin marker=/etc/reflash/last
${lock}
fail() { echo "GUARD $1"; exit "$1"; }
[ "$(cat /proc/sys/kernel/random/boot_id)" = "$boot" ] || fail 90
[ "$(cat /tmp/sysinfo/board_name)" = "$board" ] || fail 91
DISTRIB_REVISION=; . /etc/openwrt_release; [ "$DISTRIB_REVISION" = "$rev" ] || fail 92
uptime_is; [ "$up" -le "$max" ] || fail 93
busy && fail 96
take "$op" $((max + 60)) || fail 94
written=no
no() {
  # A marker without a flash would pass for a flash that fell back, after the next reboot.
  [ "$written" = no ] || {
    rm -f "$marker"; [ -z "$before" ] || { echo "$before" >"$marker.new" && mv "$marker.new" "$marker"; }; sync
  }
  give_back; fail "$1"
}
if h=$(sha256sum <"$img" 2>/dev/null); then [ "\${h%% *}" = "$sum" ] || no 95
else h=$(md5sum <"$img" 2>/dev/null); [ -n "$h" ] && [ "\${h%% *} $sum" = "$(cat /tmp/reflash.md5 2>/dev/null)" ] || no 95
fi
sysupgrade -T "$@" "$img" </dev/null >/tmp/reflash.test 2>&1 || grep -q 'Invalid option: -T' /tmp/reflash.test || {
  tail -c 4000 /tmp/reflash.test; echo; no 97
}
before=$(cat "$marker" 2>/dev/null); written=yes
mkdir -p /etc/reflash /lib/upgrade/keep.d &&
  echo "$op $sum $boot" >"$marker.new" && mv "$marker.new" "$marker" &&
  echo "$marker" >/lib/upgrade/keep.d/reflash && sync || no 98
uptime_is; [ "$up" -le "$max" ] || no 93
rm -f /tmp/reflash.pid
start-stop-daemon -S -b -p /tmp/reflash.pid -x /bin/sh -- -c "exec sysupgrade $* $img >/tmp/reflash.log 2>&1" </dev/null >/dev/null 2>&1 || no 98
echo 'GUARD 0'
`

/** No arguments. Prints the end of the log of sysupgrade. */
const log = `echo @log; tail -n 40 /tmp/reflash.log 2>/dev/null | tail -c 8000; echo
echo @end
`

/** Arguments: \`yes\` to keep the image. Puts the device back as it was before the upgrade, unless one runs or starts. */
const abandon = `keep=$2
${lock}
${putBack}
if hold abandon; then put_back; give_back; else echo @busy; fi
echo @end
`

/**
 * Arguments: operation, boot id, latest uptime. Undoes the start of just that order once it can no longer happen: lock,
 * marker, and all before it. A call that comes late finds another lock, and leaves everything alone.
 */
const clear = `op=$2 boot=$3 max=$4 keep=no
${lock}
${putBack}
if [ "$(cat /proc/sys/kernel/random/boot_id)" = "$boot" ]; then
  latest; uptime_is
  [ "$holder $until" = "$op $((max + 60))" ] && [ "$up" -gt "$max" ] && ! busy && give_back
  if hold clear; then
    read -r holder sum flashed 2>/dev/null </etc/reflash/last
    [ "$holder $flashed" = "$op $boot" ] && rm -f /etc/reflash/last && sync
    put_back; give_back
  fi
fi
echo @end
`

/** A shell runs a group only once it has read all of it: of a script that was cut off nothing is run. */
const whole = (script: string): string => `{\n${script}}\n`

/** Answers in one piece: both ends would else encrypt a packet for nearly every line. */
const atOnce = (script: string): string => `echo "$(\n${script})"\n`

/** Scripts by the name under which they are sent. */
export const scripts = {
  probe: whole(atOnce(probe)),
  place: whole(atOnce(place)),
  'stop-services': whole(stopServices),
  adopt: whole(adopt),
  test: whole(test),
  guard: whole(guard),
  log: whole(log),
  abandon: whole(abandon),
  clear: whole(clear),
} as const
export type ScriptName = keyof typeof scripts

/** The command line of a script; its text goes to standard input. */
export const scriptCommand = (name: ScriptName, args: readonly string[]): string[] => [
  'sh',
  '-s',
  '--',
  name,
  ...args,
]
export const uploadCommand = (sha256: string): string[] => [
  'sh',
  '-c',
  uploadScript,
  'reflash-upload',
  sha256,
]
