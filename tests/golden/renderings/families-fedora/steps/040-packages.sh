#!/bin/sh
# 4 packages
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/377446dda081a0e59c1e0d2fd1e67cf3
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

known() { dnf repoquery --quiet --whatprovides "$1" | grep -q .; }
providers() { true; } # dnf chooses one of them
names() { dnf repoquery --quiet --queryformat '%{name}\n'; }
versions() { dnf repoquery --quiet --queryformat '%{version}-%{release}\n' "$1"; }
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
  missing python3-pip '' ''
  exit "$1"
}
dnf install -y --setopt=timeout=20 --setopt=retries=2 --setopt=install_weak_deps=False --setopt=keepcache=True \
  curl \
  jq-1.6 \
  python3-pip \
  sudo || explain $?

echo packages >"$_record"
