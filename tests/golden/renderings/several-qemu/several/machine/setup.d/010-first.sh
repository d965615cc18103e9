#!/bin/sh
# setup: first
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/setup/c45387def09e411ea525c2e98d775ef3
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=de_DE.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
_script=${_record%/*}/first.sh
trap 'rm -f "$_script"' EXIT
cat >"$_script" <<'END'
redis-cli set greeting hello
END
cd /workspace
export USER=dev LOGNAME=dev
IFS=: read -r _ _ _ _group _ HOME _ <<END
$(getent passwd "$USER")
END
export HOME
setpriv --reuid "$USER" --regid "$_group" --init-groups sh -eu "$_script"

echo first >"$_record"
