#!/bin/sh
# run: step-1
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/steps/51ec1efc5740b0d939bedb6b6853a190
[ ! -e "$record" ] || exit 0
umask 022
[ -d "${record%/*}" ] || mkdir -p "${record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
script=${record%/*}/step-1.sh
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END'
true
END
cd /
HOME=/root sh -eu "$script"

echo step-1 >"$record"
