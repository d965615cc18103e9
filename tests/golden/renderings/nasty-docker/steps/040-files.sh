#!/bin/sh
# files
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/71f6dd392e018a8c64037526e00cc279
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
