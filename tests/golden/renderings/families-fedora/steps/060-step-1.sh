#!/bin/sh
# run: step-1
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/bb9839dfbf93a3c6c3647df2bd86cf57
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
_script=${_record%/*}/step-1.sh
trap 'rm -f "$_script"' EXIT
cat >"$_script" <<'END'
true
END
cd /
HOME=/root sh -eu "$_script"

echo step-1 >"$_record"
