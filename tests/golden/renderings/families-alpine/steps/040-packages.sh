#!/bin/sh
# 4 packages
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/5c16dbde0f8d62a3accaf430fb04438e
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

known() { apk search --exact --quiet "$1" | grep -q .; }
providers() { apk add --simulate "$1" 2>&1 | sed -n "s/^ *provided by: //p" | tr " " "\n" | grep .; }
names() { apk search --quiet; }
versions() { apk search --exact "$1" | sed "s/^$1-//"; }
# alike NAME: the names from stdin that begin or end as NAME does, similar lengths first. provision
# chooses the nearest of them.
alike() {
  awk -v name="$1" '
    substr($1, 1, 2) == substr(name, 1, 2) || substr($1, length($1) - 2) == substr(name, length(name) - 2) {
      more = length($1) - length(name)
      print (more < 0 ? -more : more), $1
    }
  ' | sort -u -k 1,1n -k 2,2 | head -n 500 | cut -d " " -f 2 | tr "\n" " "
}
# missing NAME VERSION RELEASE: a line for provision about what does not exist or is ambiguous.
missing() {
  _providers=$(providers "$1" | head -n 12 | tr "\n" " ")
  case $_providers in
    *" "*" ") echo "provision: virtual package $1: $_providers" ;;
    "")
      if ! known "$1"; then
        echo "provision: no package $1: $(names | alike "$1")"
      elif [ -n "$2" ] && ! versions "$1" | grep -qxF -e "$2"; then
        echo "provision: no version $2 of $1: $(versions "$1" | head -n 5 | tr "\n" " ")"
      fi
      ;;
  esac
}
explain() {
  missing curl '' ''
  missing jq 1.6 ''
  missing py3-pip '' ''
  exit "$1"
}
apk add --update-cache --cache-dir /var/cache/apk \
  curl \
  jq=1.6 \
  py3-pip \
  sudo || explain $?

echo packages >"$_record"
