#!/bin/sh
# repositories team, other
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/b4dbf2aad8fe6a8ecf7a9c3a5807fa18
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# For this step: a mirror that accepts connections and never answers is given up after a while.
export APT_CONFIG=/dev/shm/provision-apt.conf
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"

export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the download cache
apt-get update -q # the distribution's
apt-get install -q -y --no-install-recommends ca-certificates
from=${0%/*}/../repositories
install -D -m 0644 "$from/"etc/apt/keyrings/team.asc /etc/apt/keyrings/team.asc
install -D -m 0644 "$from/"etc/apt/sources.list.d/other.sources /etc/apt/sources.list.d/other.sources
install -D -m 0644 "$from/"etc/apt/sources.list.d/team.sources /etc/apt/sources.list.d/team.sources

echo repositories >"$_record"
