#!/bin/sh
# What is in this machine, printed by root in one go: sections, each after a line `MARK NAME`. Names and
# values are unchanged, between NULs or where the reader knows how long they are. The first
# argument is the mark, the others are paths in addition to those that are always listed.
set -u
mark=$1
shift
export LC_ALL=C
PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
section() { printf '\n%s %s\n' "$mark" "$1"; }
there() { command -v "$1" >/dev/null; }
_work=$(mktemp -d /run/provision-inventory.XXXXXX) || exit
trap 'rm -rf "$_work"' EXIT
trees() { find /etc /usr/local /opt /srv /home /root /var/spool/cron /var/spool/at -xdev "$@"; }

section environment # as this shell got it
cat "/proc/$$/environ"
section limits
cat "/proc/$$/limits"

# Files, by two kinds of tools: GNU's print attributes between NULs, busybox' print names as they are.
section files
if find / -maxdepth 0 -printf '' 2>/dev/null; then
  _form='%y\0%m\0%u:%g\0%s\0%l\0%p\0'
  trees -printf "$_form" -type f -fprint0 "$_work/files"
  [ $# = 0 ] || find "$@" -prune -printf "$_form" -type f -fprint0 "$_work/declared"
else
  trees -print0
  [ $# = 0 ] || find "$@" -prune -print0
  section attributes
  trees -print0 | xargs -0 -r stat -c '%f %U:%G %s %N'
  [ $# = 0 ] || find "$@" -prune -print0 | xargs -0 -r stat -c '%f %U:%G %s %N'
  trees -type f -print0 >"$_work/files"
  [ $# = 0 ] || find "$@" -prune -type f -print0 >"$_work/declared"
fi
[ $# = 0 ] || cat "$_work/declared" >>"$_work/files"
# The hashes take longest: they are computed while the rest continues.
_ending=
! sha256sum -z /dev/null >/dev/null 2>&1 || _ending=-z
# shellcheck disable=SC2086 # an option, or none
xargs -0 -r sha256sum $_ending <"$_work/files" >"$_work/hashes" &
if there getcap; then
  section capabilities
  xargs -0 -r getcap <"$_work/files"
fi

if there dpkg-query; then
  section dpkg
  dpkg-query -W -f '${Package}\t${Version}\t${Architecture}\t${db:Status-Abbrev}\n'
  section dpkg-files
  grep -E '^/(etc|usr/local|opt|srv)/' /var/lib/dpkg/info/*.list
  section apt-marks
  cat /var/lib/apt/extended_states
elif there rpm; then
  section rpm
  rpm -qa --queryformat '%{NAME}\t%{EVR}\t%{ARCH}\n'
  section rpm-files
  rpm -qa --queryformat '[%{=NAME}\t%{FILENAMES}\n]' | grep -E '	/(etc|usr/local|opt|srv)/'
elif [ -r /lib/apk/db/installed ]; then
  section apk
  cat /lib/apk/db/installed
fi

section passwd
getent passwd || cat /etc/passwd
section group
getent group || cat /etc/group
section passwords # whether there is one, never which
sed -e 's/^\([^:]*\):[!*].*/\1:locked/' -e t -e 's/^\([^:]*\)::.*/\1:empty/' -e t -e 's/:.*/:set/' /etc/shadow

section mounts
cat /proc/self/mountinfo
for _table in tcp tcp6 udp udp6 unix; do
  section "$_table"
  cat "/proc/net/$_table"
done
section resolv.conf
cat /etc/resolv.conf
section hosts
cat /etc/hosts
section addresses
cat /proc/net/fib_trie

section system
say() { printf '%s\0%s\0' "$1" "$2"; }
say "kernel release" "$(uname -r)"
say "kernel version" "$(uname -v)"
say architecture "$(uname -m)"
say hostname "$(uname -n)"
say init "$(readlink /proc/1/exe)"
# shellcheck source=/dev/null
say distribution "$(. /etc/os-release && echo "$ID ${VERSION_ID-}")"
say "time zone" "$(date '+%Z %z')"
say "time zone file" "$(readlink /etc/localtime)"
! there locale || say locales "$(locale -a | sort | tr '\n' ' ')"
say processors "$(nproc)"
say memory "$(grep MemTotal: /proc/meminfo)"
say swap "$(grep SwapTotal: /proc/meminfo)"
say "memory limit" "$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes)"
section sysctl
(cd /proc/sys && grep -s . fs/file-max fs/inotify/max_* fs/nr_open kernel/core_pattern kernel/dmesg_restrict \
  kernel/msgmax kernel/pid_max kernel/sem kernel/shmall kernel/shmmax kernel/threads-max \
  kernel/unprivileged_userns_clone kernel/yama/ptrace_scope net/core/rmem_max net/core/somaxconn \
  net/core/wmem_max net/ipv4/ip_forward net/ipv4/ip_local_port_range net/ipv4/ip_unprivileged_port_start \
  net/ipv4/ping_group_range net/ipv4/tcp_keepalive_time net/ipv4/tcp_max_syn_backlog net/ipv4/tcp_syncookies \
  net/ipv6/conf/all/disable_ipv6 net/ipv6/conf/all/forwarding vm/max_map_count vm/overcommit_memory vm/swappiness)

_init=/proc/1/environ
if [ -d /run/systemd/system ]; then
  section timers
  systemctl list-units --type=timer --no-legend --plain
  section manager
  systemctl show-environment
  _init=/dev/null
fi
_first=
for _first in /usr/lib/provision/setup.d/*.sh; do break; done
if [ -r "$_first" ]; then
  section setup # what its first step gets, but for variables of its own
  _user=$(sed -n 's/^(set -- \([^ ]*\) .*/\1/p' "$_first")
  # shellcheck disable=SC2016 # the shell that it starts reads them
  xargs -0 sh -c '_text=$1; shift; exec env -i "$@" sh -c "$_text"' sh <"$_init" "$(
    [ ! -d /run/systemd/system ] || systemctl show-environment | sed 's/^/export /'
    [ ! -r /usr/lib/provision/environment ] || echo '. /usr/lib/provision/environment'
    grep -m 1 '^export LANG=' "$_first"
    echo "exec /usr/lib/provision/as ${_user:-root} cat /proc/self/environ"
  )"
fi

_services=
for _service in /usr/lib/provision/services/*/; do
  _service=${_service%/}
  [ ! -d "$_service" ] || _services="$_services ${_service##*/}"
done
section services
# shellcheck disable=SC2086 # a word a service
[ -z "$_services" ] || { echo "$_services" && /usr/lib/provision/state $_services; }

# started SERVICE: sets _base to the environment in which its last script begins: that of the process
# that writes its lines to the journal, or that supervises it.
started() {
  _base=/proc/1/environ
  [ -d /run/systemd/system ] || return 0
  for _base in /proc/[0-9]*; do
    { read -r _called <"$_base/comm" && read -r _group <"$_base/cgroup"; } 2>/dev/null || continue
    [ "$_called:${_group##*/}" != "cat:provision-service-$1.service" ] || break # what systemd-cat becomes
  done
  _base=$_base/environ
}
for _service in $_services; do
  read -r _process <"/run/provision/services/$_service" && [ -d "/proc/$_process" ] || continue
  for _part in status limits cmdline; do
    section "$_part of $_service"
    cat "/proc/$_process/$_part"
  done
  # Root of a container may not look at another's; itself it may.
  _user=$(stat -c %U "/proc/$_process")
  section "cwd of $_service"
  readlink "/proc/$_process/cwd" || /usr/lib/provision/as "$_user" readlink "/proc/$_process/cwd"
  section "environ of $_service"
  cat "/proc/$_process/environ" || /usr/lib/provision/as "$_user" cat "/proc/$_process/environ"
  # Many a program writes its title over that: what its last script would give it.
  section "start of $_service"
  started "$_service"
  # shellcheck disable=SC2016 # the shell that it starts reads them
  xargs -0 sh -c '_user=$1 _text=$2; shift 2; exec env -i "$@" /usr/lib/provision/as "$_user" sh -c "$_text"' sh \
    <"$_base" "$_user" "$(sed '/^exec /,$d' "/usr/lib/provision/services/$_service/run" && echo 'exec cat /proc/self/environ')"
done
wait
section hashes
cat "$_work/hashes"
section end
