#!/bin/sh
# setup: step
# Does nothing where its record says that it was done.
set -eu
record=/var/lib/provision/setup/86e3c9449b4ef1f4b2b7ef7a182b0df9
[ ! -e "$record" ] || exit 0
umask 022
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

export DEBIAN_FRONTEND=noninteractive
export TEXT='it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉'
script=$(mktemp)
trap 'rm -f "$script"' EXIT
cat >"$script" <<'END_64dfa7ae'
it's #{File.write('ran', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉
END_64dfa7ae
cd '/it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) "q" \ ünï 🎉'
chmod 0644 "$script"
user=dev
home=$(getent passwd "$user" | cut -d: -f6)
setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups \
  env HOME="$home" USER="$user" LOGNAME="$user" sh -eu "$script"

mkdir -p "${record%/*}"
echo step >"$record"
