#!/bin/sh
# run: step
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/d9f892af8dd8c00d318b57dc2e074778
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# For this step: a mirror that accepts connections and never answers is given up after a while.
export APT_CONFIG=/dev/shm/provision-apt.conf
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"

export DEBIAN_FRONTEND=noninteractive
export TEXT='it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉'
_script=${_record%/*}/step.sh
trap 'rm -f "$_script"' EXIT
cat >"$_script" <<'END_64dfa7ae'
it's #{File.write('ran', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉
END_64dfa7ae
cd '/srv/it'"'"'s $(touch ran)'
HOME=/root sh -eu "$_script"

echo step >"$_record"
