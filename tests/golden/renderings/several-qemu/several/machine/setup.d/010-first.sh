#!/bin/sh
# setup: first
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/setup/c3a149107ed2ae2c49935e0d695e1767
[ ! -e "$record" ] || exit 0
umask 022
export LANG=de_DE.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
redis-cli set greeting hello
END
cd /workspace
chmod 0644 "$script"
user=dev
home=$(getent passwd "$user" | cut -d: -f6)
setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
  env HOME="$home" USER="$user" LOGNAME="$user" sh -eu "$script"

mkdir -p "${record%/*}"
echo first >"$record"
