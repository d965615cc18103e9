#!/bin/sh
# setup: first
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/setup/507f4ade12c3d8432b01b08b4945fd15
[ ! -e "$record" ] || exit 0
umask 022
[ -d "${record%/*}" ] || mkdir -p "${record%/*}"
export LANG=de_DE.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
script=${record%/*}/first.sh
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
redis-cli set greeting hello
END
cd /workspace
export USER=dev LOGNAME=dev
IFS=: read -r _ _ _ group _ HOME _ <<END
$(getent passwd "$USER")
END
export HOME
setpriv --reuid "$USER" --regid "$group" --init-groups sh -eu "$script"

echo first >"$record"
