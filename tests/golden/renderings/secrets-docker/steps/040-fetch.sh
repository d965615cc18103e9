#!/bin/sh
# run: fetch
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/steps/48b814498e171f3f54c7789dbd4af91e
[ ! -e "$record" ] || exit 0
umask 022
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
TOKEN=$(cat /run/secrets/api_key)
export TOKEN
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
test -n "$TOKEN"
END
cd /
chmod 0644 "$script"
user=app
home=$(getent passwd "$user" | cut -d: -f6)
setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
  env HOME="$home" USER="$user" LOGNAME="$user" sh -eu "$script"

mkdir -p "${record%/*}"
echo fetch >"$record"
