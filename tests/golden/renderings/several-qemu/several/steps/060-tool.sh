#!/bin/sh
# run: tool
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/steps/e2111c023fac4ce7b76b31c05263556e
[ ! -e "$record" ] || exit 0
umask 022
export LANG=de_DE.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
export LEVEL=3
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
printf '%s' "$LEVEL" >/opt/level
END
cd /srv/cache
chmod 0644 "$script"
user=dev
home=$(getent passwd "$user" | cut -d: -f6)
setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
  env HOME="$home" USER="$user" LOGNAME="$user" sh -eu "$script"

mkdir -p "${record%/*}"
echo tool >"$record"
