#!/bin/sh
# What was changed in a root file system, so that another gets it without doing it all again.
#
# changes.sh note BEFORE INTO  notes what this root has otherwise than BEFORE, which it began as
# changes.sh fit FROM          whether all that was changed there is here as it was before; says what is not
# changes.sh make FROM         makes the changes here
set -eu
export LC_ALL=C

# A record for each file of a root, by its path: what a change of it would change, too.
facts() (
  cd "$1"
  find . -xdev \( -path ./dev -o -path ./proc -o -path ./run -o -path ./sys -o -path ./tmp -o -path ./var/tmp \
    -o -path ./var/cache/apt -o -path ./var/lib/apt/lists \
    -o -path ./etc/hosts -o -path ./etc/hostname -o -path ./etc/resolv.conf \) -prune \
    -o -type d -printf '%p/\t%m %U:%G\0' -o -printf '%p\t%m %U:%G %s %T@ %l\0' | sort -z
)
paths() { cut -z -f1; }

case $1 in
note)
  mkdir -p "$3"
  cd "$3"
  facts "$2" >old
  facts / >current
  comm -z -23 old current >before
  comm -z -13 old current | paths >after
  paths <before | comm -z -23 - after >gone
  paths <before | comm -z -13 - after >new
  tar -C / -c -f changes.tar --xattrs --numeric-owner --no-recursion --null -T after
  rm old current after
  ;;
fit)
  now=$(mktemp)
  facts / >"$now"
  other=$({ comm -z -23 "$2/before" "$now"; paths <"$now" | comm -z -12 "$2/new" -; } | paths | tr '\0' '\n')
  rm "$now"
  [ -z "$other" ] || { echo "changed by a step: $(echo "$other" | sed 's/^\.//' | head -n 3 | tr '\n' ' ')"; exit 1; }
  ;;
make)
  cd /
  # The inmost first; a folder that a step put something into stays.
  sort -z -r "$2/gone" | xargs -0 -r rm -d -f 2>/dev/null || true
  tar -x -f "$2/changes.tar" --xattrs --numeric-owner
  ;;
esac
