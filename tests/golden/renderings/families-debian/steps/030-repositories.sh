#!/bin/sh
# repositories team, other
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/steps/9bbc22aab56422aebda05e689ed070fe
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the cache of downloads
apt-get update -q # of the distribution
apt-get install -q -y --no-install-recommends ca-certificates
from=${0%/*}/../repositories
install -D -m 0644 "$from/"etc/apt/keyrings/team.asc /etc/apt/keyrings/team.asc
install -D -m 0644 "$from/"etc/apt/sources.list.d/other.sources /etc/apt/sources.list.d/other.sources
install -D -m 0644 "$from/"etc/apt/sources.list.d/team.sources /etc/apt/sources.list.d/team.sources

echo repositories >"$_record"
