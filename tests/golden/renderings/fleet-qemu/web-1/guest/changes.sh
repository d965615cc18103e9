#!/bin/sh
# What was changed in a root file system, so that another gets it without doing it all again.
#
# changes.sh note BEFORE INTO  notes what this root has otherwise than BEFORE, which it began as
# changes.sh fit FROM          whether all that was changed there is here as it was before; says what is not
# changes.sh make FROM         makes the changes here
set -eu
export LC_ALL=C

# A record for each file of a root, by its path: what a change of it would change, too. Logs, and
# ldconfig's own cache, are there or not: what stands in them is of its hour, and nothing depends on it.
facts() (
  cd "$1"
  find . -xdev \( -path ./dev -o -path ./proc -o -path ./run -o -path ./sys -o -path ./tmp -o -path ./var/tmp \
    -o -path ./var/cache/apt -o -path ./var/lib/apt/lists \
    -o -path ./etc/hosts -o -path ./etc/hostname -o -path ./etc/resolv.conf \) -prune \
    -o -type d -printf '%p/\t%m %U:%G\0' \
    -o \( -path './var/log/*' -o -path './var/cache/ldconfig/*' \) -printf '%p\t%m %U:%G\0' \
    -o -printf '%p\t%m %U:%G %s %T@ %l\0' | sort -z
)
paths() { cut -z -f1; }
pack() { tar -c --xattrs --numeric-owner --no-recursion --null "$@"; }

case $1 in
note)
  mkdir -p "$3"
  cd "$3"
  facts "$2" >old
  facts / >current
  comm -z -23 old current | paths >other
  comm -z -13 old current | paths >after
  comm -z -23 other after >gone
  comm -z -13 other after >new
  pack -f before.tar -C "$2" -T other
  pack -f changes.tar -C / -T after
  rm old current other after
  ;;
fit)
  cd /
  # By what is in them: packages that were installed anew have files of another hour.
  other=$({ tar -d -f "$2/before.tar" --numeric-owner 2>&1 | sed '/Mod time differs/d'
    xargs -0 -r -a "$2/new" ls -d 2>/dev/null | sed 's/$/: New/'; } | sed 's/^tar: //; s/^\.//')
  [ -z "$other" ] || { echo "changed by a step: $(echo "$other" | head -n 3 | tr '\n' ' ')"; exit 1; }
  ;;
make)
  cd /
  # The inmost first; a folder that a step put something into stays.
  sort -z -r "$2/gone" | xargs -0 -r rm -d -f 2>/dev/null || true
  tar -x -f "$2/changes.tar" --xattrs --numeric-owner
  ;;
esac
