#!/bin/sh
# setup: load
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/setup/e2519935b64bcddf3670c46687a9f5e2
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
PASSWORD=$(cat /run/secrets/db_password)
export PASSWORD
cd /
# shellcheck source=/dev/null
(set -- root sh -eu /usr/lib/provision/setup.d/010-load && . /usr/lib/provision/as)

echo load >"$_record"
