#!/bin/sh
# tools.sh PACKAGE…: what makes a disk of a folder.
set -eu
export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/apt.conf.d/docker-clean
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
