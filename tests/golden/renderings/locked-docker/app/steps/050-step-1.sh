#!/bin/sh
# run: step-1
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/484c074c1cf3fe8ee8087b74fa19b46c
[ ! -e "$_record" ] || exit 0
export SOURCE_DATE_EPOCH=1795573350
: >/dev/shm/provision-begun
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# For this step: a mirror that accepts connections and never answers is given up after a while.
export APT_CONFIG=/dev/shm/provision-apt.conf
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"

# For this step: apt installs the versions of the lock.
_lock=$(cd "${0%/*}/../lock" && pwd)
echo "Dir::Etc::Preferences \"$_lock/preferences\";" >>"$APT_CONFIG"
# gone CODE: ends with the versions that can no longer be had, if there are any.
gone() {
  _gone=$(sh "$_lock/missing.sh")
  [ -z "$_gone" ] || { echo "$_gone" && exit "$1"; }
}

export DEBIAN_FRONTEND=noninteractive
_script=${_record%/*}/step-1.sh
trap 'rm -f "$_script"' EXIT
cat >"$_script" <<'END'
apt-get install -y tree
END
cd /
HOME=/root sh -eu "$_script"

echo step-1 >"$_record"

# Equal locks give equal files: no log, and no time of this build. Not in a machine that runs.
if [ ! -d /run/systemd/system ]; then
  for _log in /var/log/*.log /var/log/apt/*.log /var/cache/ldconfig/aux-cache; do
    [ ! -s "$_log" ] || : >"$_log"
  done
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run/provision -o -path /run/secrets \
    -o -path /var/cache/apt -o -path /var/lib/apt/lists \) -prune -o -newer /dev/shm/provision-begun -print0 |
    xargs -0 -r touch --no-create --no-dereference --date="@$SOURCE_DATE_EPOCH" 2>/dev/null || true
fi
