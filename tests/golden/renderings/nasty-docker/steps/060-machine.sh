#!/bin/sh
# services and setup
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/52e53405891691f1a085afcfe1391904
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

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
