#!/bin/sh
# 2 packages
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/cded5065ca3b6d07729d67892dab84c7
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# For this step: a mirror that accepts connections and never answers is given up after a while.
export APT_CONFIG=/dev/shm/provision-apt.conf
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"

# For this step: apt installs the versions of the lock.
_lock=$(cd "${0%/*}/../lock" && pwd)
echo "Dir::Etc::Preferences \"$_lock/preferences\";" >>"$APT_CONFIG"
# gone CODE: ends with the versions that can no longer be had, if there are any.
gone() {
  _gone=$(sh "$_lock/missing.sh")
  [ -z "$_gone" ] || { echo "$_gone" && exit "$1"; }
}

export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the download cache
# apt takes an unknown name for a pattern or an option: only exact names count.
candidate() {
  apt-cache policy "$1" | awk -v name="$1:" -v plain="${1%:*}:" '
    NR == 1 && $0 != name && $0 != plain { exit }
    $1 == "Candidate:" { if ($2 != "(none)") print $2; exit }
  '
}
providers() {
  [ -z "$(candidate "$1")" ] || return 0
  apt-cache showpkg "$1" | awk -v name="$1" '
    $1 == "Package:" && ($2 != name || NR > 1) { exit }
    found { print $1 }
    /^Reverse Provides/ { found = 1 }
  ' | sort -u
}
known() { [ -n "$(candidate "$1")" ]; }
names() { apt-cache pkgnames; }
versions() { apt-cache madison "$1" | cut -d "|" -f 2 | tr -d " "; }
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
  gone "$1"
  unset APT_CONFIG # what follows is about the archive, not the lock
  missing jq 1.7.1-6 ''
  missing tree '' ''
  exit "$1"
}
apt-get update -q
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
  jq=1.7.1-6 \
  tree || explain $?

echo packages >"$_record"
