#!/bin/sh
# setup: step
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/setup/724c2de4ce342886e810307d15af8e23
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
export TEXT='it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉'
_script=${_record%/*}/step.sh
trap 'rm -f "$_script"' EXIT
cat >"$_script" <<'END_64dfa7ae'
it's #{File.write('ran', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉
END_64dfa7ae
cd '/it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) "q" \ ünï 🎉'
export USER=dev LOGNAME=dev
IFS=: read -r _ _ _ _group _ HOME _ <<END
$(getent passwd "$USER")
END
export HOME
setpriv --reuid "$USER" --regid "$_group" --init-groups sh -eu "$_script"

echo step >"$_record"
