#!/bin/sh
# tools.sh PACKAGE…: installs what turns a folder into a disk.
set -eu
export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/apt.conf.d/docker-clean
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
