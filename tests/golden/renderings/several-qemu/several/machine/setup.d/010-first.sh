#!/bin/sh
# setup: first
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/setup/5b8dcc42389210e637d35592ce1be96a
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=de_DE.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
cd /workspace
# shellcheck source=/dev/null
(set -- dev sh -eu /usr/lib/provision/setup.d/010-first && . /usr/lib/provision/as)

echo first >"$_record"
