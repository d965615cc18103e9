#!/bin/sh
# files
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/3a0819ca7cd5fb2676315c61a5bb92e5
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

files=${0%/*}/../files
install -D -o root -g "$(id -g root)" -m 0644 "$files"/etc/nginx/sites-enabled/default /etc/nginx/sites-enabled/default
install -d -o dev -g "$(id -g dev)" -m 0755 /srv/page
install -D -o dev -g "$(id -g dev)" -m 0644 "$files"/srv/page/ca.crt /srv/page/ca.crt
install -D -o dev -g "$(id -g dev)" -m 0755 "$files"/srv/page/hello /srv/page/hello
install -D -o dev -g "$(id -g dev)" -m 0644 "$files"/srv/page/index.html /srv/page/index.html
install -D -o dev -g "$(id -g dev)" -m 0644 "$files"/srv/page/key.asc /srv/page/key.asc
install -d -o dev -g "$(id -g dev)" -m 0750 /srv/cache
mkdir -p /srv
ln -sfn /srv/page /srv/www
rm -rf /etc/motd

echo files >"$_record"
