#!/bin/sh
# users app
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/steps/476d5b16d533594bc8f1e9aa1d6cbda8
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

if getent passwd app >/dev/null; then
  usermod --shell /bin/sh app
else
  useradd --create-home --home-dir /home/app --shell /bin/sh app
fi

echo users >"$_record"
