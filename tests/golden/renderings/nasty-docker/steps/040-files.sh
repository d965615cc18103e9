#!/bin/sh
# files
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/steps/c14abc4bc737918b04489679c1b981ed
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

files=${0%/*}/../files
install -D -o dev -g "$(id -g dev)" -m 0644 "$files"'/srv/it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) "q" \ ünï 🎉' '/srv/it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) "q" \ ünï 🎉'
mkdir -p /srv
ln -sfn 'it'"'"'s #{File.write('"'"'ran'"'"', 1)} `touch ran` $(touch ran) ${HOME} {{ 7 * 7 }} {% raw %} "q" \ %x(touch ran)
<%= 1 %> EOF END ünï 🎉' /srv/link

echo files >"$_record"
