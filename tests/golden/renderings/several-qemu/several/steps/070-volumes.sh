#!/bin/sh
# volumes data
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/7f40444c326451c4e50b31b66de5dc36
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# An empty volume takes over the owner and mode of its path. A missing parent folder gets the owner
# of the folder it is in, as in a user's home.
lead() {
  [ -z "$1" ] || [ -d "$1" ] || {
    lead "${1%/*}"
    mkdir "$1"
    chown "$(stat -c %u:%g "${1%/*}/")" "$1"
  }
}
lead /var/lib/redis
chown redis:"$(id -g redis)" /var/lib/redis
chmod 0750 /var/lib/redis

echo volumes >"$_record"
