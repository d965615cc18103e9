#!/bin/sh
# locale and time zone
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/3ffa0d994b6bc0931ba0a96d2c24f3cc
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

apk add --update-cache --cache-dir /var/cache/apk \
  bash \
  coreutils \
  sed \
  setpriv \
  shadow \
  tzdata
ln -sf /usr/share/zoneinfo/UTC /etc/localtime
echo UTC >/etc/timezone
mkdir -p /etc/default
echo LANG=C.UTF-8 >/etc/default/locale

echo system >"$_record"
