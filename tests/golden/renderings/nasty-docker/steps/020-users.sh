#!/bin/sh
# users dev
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/steps/772d40c418fd686dfbe028bef7a5d26f
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
  usermod --uid 1000 --shell '/bin/it'"'"'s $(touch ran)' dev
else
  useradd --create-home --home-dir '/home/it'"'"'s $(touch ran)' --shell '/bin/it'"'"'s $(touch ran)' --uid 1000 --user-group dev
fi

echo users >"$_record"
