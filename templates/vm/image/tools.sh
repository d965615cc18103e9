#!/bin/sh
# tools.sh PACKAGE…: installs what turns a folder into a disk.
set -eu
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/dev/shm/provision-apt.conf
# A mirror that accepts connections and never answers is given up after a while.
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"
rm -f /etc/apt/apt.conf.d/docker-clean
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
