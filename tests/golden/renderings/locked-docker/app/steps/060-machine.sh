#!/bin/sh
# services and setup
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/d68a4e235ad0e570e4718ba7592ed2a1
[ ! -e "$_record" ] || exit 0
export SOURCE_DATE_EPOCH=1795573350
: >/dev/shm/provision-begun
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

rm -f /etc/apt/sources.list.d/provision-dated.list
rm -rf /usr/lib/provision
mkdir -p /usr/lib/provision
cp -R "${0%/*}/../machine/." /usr/lib/provision
chmod -R u=rwX,go=rX /usr/lib/provision
# Some packages bring a generator that makes systemd start their service even if disabled
# (PostgreSQL does). Generators for disks, network and boot stay.
for generator in /lib/systemd/system-generators/*; do
  case ${generator##*/} in
    systemd-* | cloud-init-generator | netplan | lvm2-activation-generator | zfs-mount-generator | '*') ;;
    *)
      mkdir -p /etc/systemd/system-generators
      ln -sf /dev/null "/etc/systemd/system-generators/${generator##*/}"
      ;;
  esac
done

echo machine >"$_record"

# Equal locks give equal files: no log, and no time of this build. Not in a machine that runs.
if [ ! -d /run/systemd/system ]; then
  for _log in /var/log/*.log /var/log/apt/*.log /var/cache/ldconfig/aux-cache; do
    [ ! -s "$_log" ] || : >"$_log"
  done
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run/provision -o -path /run/secrets \
    -o -path /var/cache/apt -o -path /var/lib/apt/lists \) -prune -o -newer /dev/shm/provision-begun -print0 |
    xargs -0 -r touch --no-create --no-dereference --date="@$SOURCE_DATE_EPOCH" 2>/dev/null || true
fi
