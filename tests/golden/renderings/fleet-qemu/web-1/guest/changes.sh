#!/bin/sh
# What was changed in a root file system, so that another gets it without doing it all again.
#
# changes.sh note BEFORE INTO  notes what this root has otherwise than BEFORE, which it began as
# changes.sh fit FROM          whether all that was changed there is here as it was before; says what is not
# changes.sh make FROM         makes the changes here
#
# Every record is a path, `//` and a tab, what is there, and a NUL: a path may hold anything. Not compared
# are extended attributes, and the folders that `facts` leaves out. $ROOT is this root, in tests.
set -eu
export LC_ALL=C
root=${ROOT:-/}

# A record for each file of a root, by its path: what a change of it would change, too. Logs, and
# ldconfig's own cache, are there or not: what stands in them is of its hour, and nothing depends on it.
facts() (
  cd "$1"
  find . -xdev \( -path ./dev -o -path ./proc -o -path ./run -o -path ./sys -o -path ./tmp -o -path ./var/tmp \
    -o -path ./var/cache/apt -o -path ./var/lib/apt/lists \
    -o -path ./etc/hosts -o -path ./etc/hostname -o -path ./etc/resolv.conf \) -prune \
    -o -type d -printf '%p///\t%m %U:%G\0' \
    -o \( -path './var/log/*' -o -path './var/cache/ldconfig/*' \) -printf '%p//\t%m %U:%G\0' \
    -o -printf '%p//\t%m %U:%G %s %T@ %l\0' | sort -z
)
paths() { sed -z 's|//\t.*$||' | sort -z -u; } # without what follows them, they sort otherwise
# describe ROOT PATHS: what is at these paths: two records for a file, one for anything else, none for
# nothing. By what is in it, and not by its time: packages that were installed anew have files of another.
describe() (
  cd "$1"
  {
    xargs -0 -r -a "$2" sh -c 'find "$@" -maxdepth 0 -printf "%p//\t%y %m %U:%G %l\0" 2>/dev/null || :' sh
    xargs -0 -r -a "$2" sh -c 'find "$@" -maxdepth 0 -type f ! -path ./etc/shadow ! -path ./etc/shadow- \
      -exec sha256sum -z {} + 2>/dev/null || :' sh |
      sed -z -E 's|^([0-9a-f]+) [ *](.*)$|\2//\t\1|'
    # Without the day of each password: accounts that are made anew have today's.
    for file in ./etc/shadow ./etc/shadow-; do
      [ ! -f "$file" ] || ! grep -qzxF "$file" "$2" ||
        printf '%s//\t%s\0' "$file" "$(sed -E 's/^([^:]*:[^:]*:)[^:]*/\1/' "$file" | sha256sum | cut -c 1-64)"
    done
  } | sort -z
)

case $1 in
note)
  mkdir -p "$3"
  into=$(cd "$3" && pwd)
  cd "$into"
  facts "$2" >old
  facts "$root" >current
  comm -z -23 old current | paths >other
  comm -z -13 old current | paths >after
  comm -z -23 other after >gone
  sort -z -u other after | sed -z 's|/$||' >touched # a folder, even where it is a link now
  describe "$2" "$into/touched" >before
  tar -c --xattrs --numeric-owner --no-recursion --null -f changes.tar -C "$root" -T after
  rm old current other after
  ;;
fit)
  from=$(cd "$2" && pwd)
  other=$(describe "$root" "$from/touched" | comm -z -3 "$from/before" - | sed -z 's/^\t//' | paths |
    sed -z 's/^\.//' | head -z -n 3 | tr '\0' ' ')
  [ -z "$other" ] || { echo "changed by a step: $other"; exit 1; }
  ;;
make)
  cd "$root"
  # The inmost first; a folder that a step put something into stays.
  sort -z -r "$2/gone" | xargs -0 -r rm -d -f 2>/dev/null || true
  tar -x -f "$2/changes.tar" --xattrs --numeric-owner
  ;;
esac
