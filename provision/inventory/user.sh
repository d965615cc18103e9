#!/bin/sh
# What the machine's user gets, printed by the shell that `exec` opens: sections, as in machine.sh.
mark=$1
section() { printf '\n%s %s\n' "$mark" "$1"; }
section "environ of exec"
cat "/proc/$$/environ"
section "limits of exec"
cat "/proc/$$/limits"
section "status of exec"
cat "/proc/$$/status"
section "cwd of exec"
pwd
_shell=$(getent passwd "$(id -un)" | cut -d: -f7)
_text="printf '\n%s %s\n' $mark 'umask of login'; umask; printf '\n%s %s\n' $mark 'environ of login'
exec cat /proc/self/environ"
"${_shell:-/bin/sh}" -l -c "$_text" </dev/null
section end
