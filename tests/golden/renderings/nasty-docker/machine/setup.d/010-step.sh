#!/bin/sh
# setup: step
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/setup/579270c504e9cc9a2a752291c3f2ef16
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
export TEXT='it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉'
cd '/it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) "q" \ ünï 🎉'
# shellcheck source=/dev/null
(set -- dev sh -eu /usr/lib/provision/setup.d/010-step && . /usr/lib/provision/as)

echo step >"$_record"
