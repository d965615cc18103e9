#!/bin/sh
# systemd and its units
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/03bc99bcb7c3fc8ace56a9a1220928ef
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# systemd starts the spec's services and what a build step has enabled, not what packages enabled.
cp /usr/lib/provision/units/* /etc/systemd/system
systemctl list-unit-files --state=enabled --no-legend --no-pager | while read -r unit _; do
  case $unit in
    provision*) ;;
    *) systemctl disable --quiet "$unit" 2>/dev/null || systemctl mask --quiet "$unit" ;;
  esac
done
[ ! -e /var/lib/provision/enabled-units ] || xargs -r systemctl enable --quiet </var/lib/provision/enabled-units
systemctl enable --quiet provision.target
# /tmp is on the disk with every base, and is emptied at a start alone.
systemctl mask --quiet tmp.mount 2>/dev/null
printf '%s\n' 'D /tmp 1777 root root -' 'd /var/tmp 1777 root root -' >/usr/lib/tmpfiles.d/provision.conf
: >/etc/machine-id # each container gets its own id

echo init >"$_record"
