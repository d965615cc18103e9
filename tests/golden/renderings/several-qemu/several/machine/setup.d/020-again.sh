#!/bin/sh
# setup: again
# Does nothing where its record says that it was done.
set -eu
record=/run/provision/setup.d/f186a1cf9784235ef18b20bb9dcae80f
[ ! -e "$record" ] || exit 0
umask 022
export LANG=de_DE.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
redis-cli get greeting
END
cd /workspace
HOME=/root sh -eu "$script"

mkdir -p "${record%/*}"
echo again >"$record"
