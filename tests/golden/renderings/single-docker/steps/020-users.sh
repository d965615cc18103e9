#!/bin/sh
# users dev
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/steps/c74949d8735690c72ac98ae6a036bfa0
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# refuse NAME ID: says who has the id already
refuse() {
  holder=$(getent passwd "$2" | cut -d: -f1)
  [ -z "$holder" ] || [ "$holder" = "$1" ] || {
    echo "user $1 cannot have uid $2: it is $holder's; give one of them another uid" >&2
    exit 1
  }
}

refuse dev 1000
if getent passwd dev >/dev/null; then
  usermod --uid 1000 --shell /bin/sh dev
else
  useradd --create-home --home-dir /home/dev --shell /bin/sh --uid 1000 --user-group dev
fi

echo users >"$_record"
