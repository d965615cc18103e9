#!/bin/sh
# setup: step
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/setup/6641c9d7f0a7ed9b31a7b7d230519956
[ ! -e "$record" ] || exit 0
umask 022
[ -d "${record%/*}" ] || mkdir -p "${record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
export TEXT='it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉'
script=${record%/*}/step.sh
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END_64dfa7ae'
it's #{File.write('ran', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉
END_64dfa7ae
cd '/it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) "q" \ ünï 🎉'
export USER=dev LOGNAME=dev
IFS=: read -r _ _ _ group _ HOME _ <<END
$(getent passwd "$USER")
END
export HOME
setpriv --reuid "$USER" --regid "$group" --init-groups sh -eu "$script"

echo step >"$record"
