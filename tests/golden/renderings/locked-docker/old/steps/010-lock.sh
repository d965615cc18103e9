#!/bin/sh
# the versions of the lock
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/aa2f19d01fd6371c08172afc03f88017
[ ! -e "$_record" ] || exit 0
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
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the download cache
apt-get update -q
# What the base has in another version; nothing else is touched.
dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' | sed -n 's/^ii *//p' | awk -v lock="$_lock/versions" '
  BEGIN { while ((getline line <lock) > 0) { split(line, word, " "); held[word[1]] = word[2] } }
  ($1 in held) && held[$1] != $2 { print $1 "=" held[$1] }
' | xargs -r apt-get install -q -y --no-install-recommends --allow-downgrades --allow-change-held-packages \
  -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold || { gone $?; exit 100; }

echo lock >"$_record"
