#!/bin/sh
# 7 packages
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/steps/7dc60882bf90c51e8c29a21f626dae4f
[ ! -e "$record" ] || exit 0
umask 022
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the cache of downloads
apt-get update -q
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
  nginx-light \
  redis-server \
  curl=7.88.1-10 \
  supervisor \
  sudo \
  tzdata \
  locales
sed -i 's/^# *\(de_DE\.UTF-8 .*\)/\1/' /etc/locale.gen
locale-gen

mkdir -p "${record%/*}"
echo packages >"$record"
