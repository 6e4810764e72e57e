/**
 * What stands on the disk of a namespace router beside busybox: an init, services, and programs of OpenWrt that busybox
 * does not have. `/rig` is the back door of the tests: what is to go wrong, and the record of what really happened.
 */

/** Process 1: brings services and SSH up, and ends when somebody reboots, which ends everything in its namespace. */
export const initScript = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
for s in $(cat /etc/services); do /etc/init.d/$s start; done
dropbear -F -E -p "$1" -W "$2" $(for k in /etc/dropbear/*_host_key; do echo "-r $k"; done) </dev/null >/rig/dropbear.log 2>&1 &
# Waiting for a child collects the orphans, too; upgraded may kill that child, but not this shell.
until [ -e /run/down ]; do
  (read -r _ </run/power) &
  wait $!
done
`

export const rebootScript = `#!/bin/sh
>/run/down
echo >/run/power
`

/** A service that procd would run: a process of its name, started and stopped like every other. */
export const serviceScript = (service: string, process: string): string => `#!/bin/sh
case "$1" in
  start)
    [ -s /run/${service}.pid ] && kill -0 "$(cat /run/${service}.pid)" 2>/dev/null && exit 0
    start-stop-daemon -S -b -m -p /run/${service}.pid -x /usr/sbin/${process}
    echo "start ${service}" >>/rig/services ;;
  stop)
    start-stop-daemon -K -q -p /run/${service}.pid
    echo "stop ${service}" >>/rig/services ;;
esac
# Some real init scripts read from their standard input.
cat >/dev/null
`

export const daemonScript = `#!/bin/sh
while :; do sleep 1000; done
`

/** \`pgrep -f PATTERN\`, which Debian's static busybox lacks; as cheap as the real one. */
export const pgrepScript = `#!/bin/sh
[ "$1" = -f ] || exit 2
ps -o pid,args | pattern=$2 awk '$0 ~ ENVIRON["pattern"] && !index($0, " /usr/bin/pgrep -f") { print $1; n++ } END { exit !n }'
`

export const uciScript = `#!/bin/sh
[ "$*" = '-q get system.@system[0].compat_version' ] && cat /etc/compat_version 2>/dev/null
`

/**
 * /sbin/sysupgrade: option parsing and checks in the words of the real one, then the hand-over to /sbin/upgraded. It
 * accepts images of \`makeFirmware\` for its board.
 */
export const sysupgradeScript = `#!/bin/sh
TEST=0
known=" $(cat /rig/options) "
while [ $# -gt 1 ] || [ "\${1#-}" != "$1" ]; do
  case "$known" in *" $1 "*) ;; *) echo "Invalid option: $1" >&2; exit 1;; esac
  [ "$1" = -T ] && TEST=1
  shift
done
IMAGE=$1
echo "$TEST $*" >>/rig/sysupgrade-calls
[ -f "$IMAGE" ] || { echo 'Image file not found.' >&2; exit 1; }
if [ -s /rig/refuse ]; then cat /rig/refuse >&2; exit 1; fi
read -r magic dist version revision boards <"$IMAGE"
[ "$magic" = REFLASH-TEST-IMAGE ] || { echo 'Image metadata not present' >&2; echo 'Image check failed.' >&2; exit 1; }
case ",\${boards#boards=}," in
  *",$(cat /tmp/sysinfo/board_name),"*) ;;
  *)
    echo "Device $(cat /tmp/sysinfo/board_name) not supported by this image" >&2
    echo "Supported devices: \${boards#boards=}" >&2
    echo 'Image check failed.' >&2
    exit 1 ;;
esac
[ $TEST = 1 ] && { sleep "$(cat /rig/test-seconds 2>/dev/null || echo 0)"; exit 0; }
echo "$(cut -d. -f1 /proc/uptime) $(cat /proc/sys/kernel/random/boot_id)" >>/rig/starts
if [ -s /rig/die ]; then cat /rig/die >&2; exit 1; fi
echo 'upgrade: Commencing upgrade. Closing all shell sessions.'
start-stop-daemon -S -b -p /run/upgraded.pid -x /sbin/upgraded -- "$IMAGE"
sleep 0.1
echo 'Command failed: ubus call system sysupgrade { ... } (Connection failed)' >&2
exit "$(cat /rig/exit-code 2>/dev/null || echo 246)"
`

/** /sbin/upgraded: kills everything, writes what is in the image file by then, keeps what is listed, and reboots. */
export const upgradedScript = `#!/bin/sh
sleep "$(cat /rig/shutdown-seconds 2>/dev/null || echo 0.2)"
kill -9 -1
if [ -f "$1" ] && [ ! -e /rig/roll-back ]; then
  read -r magic dist version revision boards <"$1"
  sum=$(sha256 "$1")
  kept=
  grep -qx /etc/reflash/last /lib/upgrade/keep.d/* 2>/dev/null && kept=$(cat /etc/reflash/last)
  rm -rf /etc/reflash /lib/upgrade/keep.d/reflash
  [ -z "$kept" ] || { mkdir -p /etc/reflash; echo "$kept" >/etc/reflash/last; }
  cat >/etc/openwrt_release <<END
DISTRIB_ID='\${dist#dist=}'
DISTRIB_RELEASE='\${version#version=}'
DISTRIB_REVISION='\${revision#revision=}'
DISTRIB_TARGET='ath79/generic'
DISTRIB_DESCRIPTION='\${dist#dist=} \${version#version=} \${revision#revision=}'
END
  echo "$sum \${version#version=} \${revision#revision=}" >>/rig/flashes
fi
reboot
`
