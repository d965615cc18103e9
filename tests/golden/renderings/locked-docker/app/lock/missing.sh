#!/bin/sh
# Prints a line for provision about each version of the lock that is neither installed nor to be had.
here=${0%/*}
have() {
  dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n${db:Status-Abbrev} ${Package}:${Architecture} ${Version}\n' |
    sed -n 's/^ii *//p'
  cut -d " " -f 1 "$here/versions" | xargs -r apt-cache madison 2>/dev/null | tr -d " " | tr "|" " "
}
have | awk -v lock="$here/versions" '
  {
    there[$1, $2] = 1
    if (NF > 2 && !seen[$1, $2]++) versions[$1] = versions[$1] " " $2
  }
  END {
    while ((getline line <lock) > 0) {
      split(line, word, " ")
      if (!((word[1], word[2]) in there)) print "provision: locked " word[1] " " word[2] ":" versions[word[1]]
    }
  }
'
