#!/bin/sh
# kernel.sh [ARCHITECTURE]: puts a kernel of this distribution, the modules that a virtual machine can
# use, and an initial RAM disk that knows QEMU's disks into /kernel. Nothing is installed: the
# machine boots from outside itself.
set -eu
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/dev/shm/provision-apt.conf
# A mirror that accepts connections and never answers is given up after a while.
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"
# shellcheck source=/dev/null
. /etc/os-release
own=$(dpkg --print-architecture)
target=${1:-$own}
case $ID:$target in
debian:amd64 | debian:arm64) package=linux-image-$target ;;
ubuntu:amd64 | ubuntu:arm64) package=linux-image-generic ;;
*)
  echo "no kernel package is known for $ID on $target" >&2
  exit 1
  ;;
esac
lock=${0%/*}/../lock
rm -f /etc/apt/apt.conf.d/docker-clean
[ "$target" = "$own" ] || dpkg --add-architecture "$target"
apt-get update -q
apt-get install -q -y --no-install-recommends cpio kmod xz-utils zstd # modules may be compressed
work=$(mktemp -d)
chmod 0755 "$work"
cd "$work"
# The package named for the architecture depends on the one of today's version.
wanted() {
  apt-get install -s --no-install-recommends "$1:$target" | sed -n 's/^Inst \(linux-\(image\|modules\)-[^ ]*\).*/\1/p'
}
if [ -e "${0%/*}/kernel.lock" ] && [ "$target" = "$own" ]; then
  read -r release how <"${0%/*}/kernel.lock"
  there() { apt-cache show --no-all-versions "linux-image-$release" >/dev/null 2>&1; }
  if ! there && [ -e "$lock/dated.list" ]; then
    cp "$lock/dated.list" /etc/apt/sources.list.d/provision-dated.list
    apt-get update -q --error-on=any -o Acquire::Retries=0 ||
      rm /etc/apt/sources.list.d/provision-dated.list
  fi
  if there; then
    package=linux-image-$release
  elif [ "$how" = exact ]; then
    echo "provision: locked kernel $release: $(wanted "$package" | sed -n 's/^linux-image-//p' | tr '\n' ' ')"
    exit 100
  fi
fi
wanted=$(wanted "$package")
# shellcheck disable=SC2086 # a word each
apt-get download -q $wanted "busybox-static:$target"
for package in *.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --exclude='./usr/share/*' \
    --exclude='*/kernel/sound/*' --exclude='*/kernel/drivers/gpu/*' --exclude='*/kernel/drivers/media/*' \
    --exclude='*/kernel/drivers/infiniband/*' --exclude='*/kernel/drivers/net/wireless/*' \
    --exclude='*/kernel/drivers/net/ethernet/*' --exclude='*/kernel/drivers/staging/*' \
    --exclude='*/kernel/drivers/iio/*' --exclude='*/kernel/drivers/usb/*' --exclude='*/kernel/drivers/hid/*' \
    --exclude='*/kernel/drivers/hwmon/*' --exclude='*/kernel/drivers/mtd/*' --exclude='*/kernel/drivers/isdn/*' \
    --exclude='*/kernel/drivers/scsi/*' --exclude='*/kernel/drivers/input/*' --exclude='*/kernel/drivers/i2c/*' \
    --exclude='*/kernel/drivers/bluetooth/*' --exclude='*/kernel/net/bluetooth/*' --exclude='*/kernel/net/mac80211/*' \
    --exclude='*/kernel/net/wireless/*' --exclude='*/kernel/drivers/platform/*' \
    --exclude='*/kernel/drivers/ata/*' --exclude='*/kernel/drivers/cpufreq/*' --exclude='*/kernel/drivers/block/floppy.ko*'
done
[ -d lib/modules ] || { mkdir -p lib && mv usr/lib/modules lib/modules; }
version=$(ls lib/modules)
depmod -b "$work" "$version"
mkdir -p /kernel initrd/bin initrd/dev initrd/proc initrd/sys initrd/root initrd/modules
cp boot/vmlinuz-* /kernel/vmlinuz
cp -a lib/modules /kernel/modules
# Its package has it in /bin or in /usr/bin, by release; other packages can have made either folder.
for busybox in bin/busybox usr/bin/busybox; do
  [ ! -f "$busybox" ] || cp "$busybox" initrd/bin/busybox
done
ln -s busybox initrd/bin/sh
cp "${0%/*}/init" initrd/init
chmod 0755 initrd/init
for module in virtio_pci virtio_blk ext4 virtio_net virtio_console virtio_rng virtio_balloon 9pnet_virtio 9p qemu_fw_cfg; do
  modprobe -d "$work" -S "$version" --show-depends "$module" 2>/dev/null |
    sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' >order
while read -r file; do
  cp "$file" initrd/modules/
  case $file in
  *.zst) zstd -q -d --rm "initrd/modules/${file##*/}" ;;
  *.xz) xz -d "initrd/modules/${file##*/}" ;;
  esac
  name=${file##*/}
  echo "${name%.ko*}.ko"
done <order >initrd/modules/order
(cd initrd && find . | cpio -o -H newc --quiet) | gzip -1 >/kernel/initrd
rm -rf "$work"
