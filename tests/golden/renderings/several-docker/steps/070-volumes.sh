#!/bin/sh
# volumes data
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/0c3c16f1b0f01b3e3ff2cbee5c0eafd8
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# An empty volume takes over the owner and mode of its path.
mkdir -p /var/lib/redis
chown redis:"$(id -g redis)" /var/lib/redis
chmod 0750 /var/lib/redis

echo volumes >"$_record"
