#!/bin/sh
# 4 packages
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/d3536fe2550410c850a8be5ead0cca64
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

known() { dnf repoquery --quiet --whatprovides "$1" | grep -q .; }
providers() { true; } # dnf chooses one of them
names() { dnf repoquery --quiet --queryformat '%{name}\n'; }
versions() { dnf repoquery --quiet --queryformat '%{version}-%{release}\n' "$1"; }
# near NAME: the three names from stdin that are most similar to it.
near() {
  awk -v wanted="$1" '
    function distance(a, b, i, j, best, row, last) {
      for (j = 0; j <= length(b); j++) last[j] = j
      for (i = 1; i <= length(a); i++) {
        row[0] = i
        for (j = 1; j <= length(b); j++) {
          best = last[j - 1] + (substr(a, i, 1) != substr(b, j, 1))
          if (last[j] + 1 < best) best = last[j] + 1
          if (row[j - 1] + 1 < best) best = row[j - 1] + 1
          row[j] = best
        }
        for (j = 0; j <= length(b); j++) last[j] = row[j]
      }
      return last[length(b)]
    }
    length($1) - length(wanted) > 3 || length(wanted) - length($1) > 3 { next }
    { found = distance(wanted, $1) }
    found <= 3 && found < length(wanted) { print found, $1 }
  ' | sort -u -k 1,1n -k 2,2 | head -n 3 | cut -d " " -f 2 | tr "\n" " "
}
# missing NAME VERSION RELEASE: a line for provision about what does not exist or is ambiguous.
missing() {
  _providers=$(providers "$1" | head -n 12 | tr "\n" " ")
  case $_providers in
    *" "*" ") echo "provision: virtual package $1: $_providers" ;;
    "")
      if ! known "$1"; then
        echo "provision: no package $1: $(names | near "$1")"
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
dnf install -y --setopt=install_weak_deps=False --setopt=keepcache=True \
  curl \
  jq-1.6 \
  python3-pip \
  sudo || explain $?

echo packages >"$_record"
