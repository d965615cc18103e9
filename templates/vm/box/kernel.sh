#!/bin/sh
# kernel.sh DISTRIBUTION=PACKAGE…: puts the kernel of this distribution, its modules and an initial RAM
# disk into /kernel, for a machine that is made of an image: nothing of how they are made is in it.
set -eu
here=${0%/*}
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/dev/shm/provision-apt.conf
# A mirror that accepts connections and never answers is given up after a while.
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"
# shellcheck source=/dev/null
. /etc/os-release
package=
for word; do
  [ "${word%%=*}" != "$ID" ] || package=${word#*=}
done
if [ -z "$package" ] || [ "$(dpkg --print-architecture)" != amd64 ]; then
  echo "no kernel package is known for $ID on $(dpkg --print-architecture)" >&2
  exit 1
fi
rm -f /etc/apt/apt.conf.d/docker-clean
# Before there is anything that makes the RAM disk, what is to be in it.
cp -R "$here/root/." /
apt-get update -q
if [ -e "$here/kernel.lock" ]; then
  read -r release how <"$here/kernel.lock"
  if apt-cache show --no-all-versions "linux-image-$release" >/dev/null 2>&1; then
    package=linux-image-$release
  elif [ "$how" = exact ]; then
    echo "provision: locked kernel $release: $(apt-cache depends "$package" | sed -n 's/^ *Depends: linux-image-//p' | tr '\n' ' ')"
    exit 100
  fi
fi
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold \
  "$package" e2fsprogs initramfs-tools kmod lz4 udev
mkdir -p /kernel/boot
mv /boot/vmlinuz-* /boot/initrd.img-* /kernel/boot/
mv /lib/modules /kernel/modules
