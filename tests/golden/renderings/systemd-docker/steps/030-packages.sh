#!/bin/sh
# 3 packages
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/14f1de00835650a65d81c148e6e55184
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# For this step: a mirror that accepts connections and never answers is given up after a while.
export APT_CONFIG=/dev/shm/provision-apt.conf
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"

export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the download cache
apt-get update -q
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
  systemd \
  systemd-sysv \
  dbus

echo packages >"$_record"
