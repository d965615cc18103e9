#!/bin/sh
# locale and time zone
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/steps/0fd68aefb47a0ca16cd78928dd1ad681
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

dnf install -y --setopt=install_weak_deps=False --setopt=keepcache=True \
  shadow-utils \
  util-linux \
  glibc-langpack-en
ln -sf /usr/share/zoneinfo/UTC /etc/localtime
echo UTC >/etc/timezone
echo LANG=C.UTF-8 >/etc/locale.conf

echo system >"$_record"
