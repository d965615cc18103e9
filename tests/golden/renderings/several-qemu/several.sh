#!/bin/sh
# several of several, a virtual machine: sh several.sh [words for QEMU]
#
# Makes what is missing, then becomes QEMU: the disk is built by docker buildx, all else needs
# qemu-system-x86_64 or qemu-system-aarch64, qemu-img and ssh-keygen. These variables may be set:
#   ARCHITECTURE   x86_64 or aarch64; this host's
#   STATE     where its disks and its key are; beside this file
#   IMAGE     the folder of disk.qcow2, vmlinuz and initrd that it begins with
#   ACCEL     kvm, hvf or tcg,thread=multi,tb-size=256; and CPU to go with it: host, or one to emulate
#   SSH       the host's port that leads to its sshd; a free one
#   PORT_8080_TCP   the host's side of 8080/tcp
#   PORT_6379_TCP   the host's side of 6379/tcp
#   APPEND    more words for the kernel
# How its disk is made (backends.vm.build): auto
set -eu
here=$(cd "${0%/*}" && pwd)
state=${STATE:-$here/state}
image=${IMAGE:-$state/image}
case ${ARCHITECTURE:-$(uname -m)} in
x86_64 | amd64 | AMD64)
  qemu=qemu-system-x86_64 platform=linux/amd64
  machine=pc,usb=off cpu=max words='console=ttyS0 no_timer_check'
  set -- -device vmgenid,guid=auto "$@"
  ;;
aarch64 | arm64 | ARM64)
  qemu=qemu-system-aarch64 platform=linux/arm64
  machine=virt cpu=cortex-a72 words='console=ttyAMA0'
  ;;
*)
  echo "there is no machine for ${ARCHITECTURE:-$(uname -m)}, only for x86_64 and aarch64" >&2
  exit 1
  ;;
esac
option() { printf %s "$1" | sed 's/,/,,/g'; } # QEMU's options end at a comma

mkdir -p "$state/volumes"
[ -e "$image/disk.qcow2" ] || docker buildx build --platform "$platform" --output "type=local,dest=$image" "$here/several"
[ -e "$state/key" ] || ssh-keygen -q -t ed25519 -N '' -C provision -f "$state/key"
[ -e "$state/several.qcow2" ] ||
  qemu-img create -q -f qcow2 -F qcow2 -b "$image/disk.qcow2" "$state/several.qcow2" 12G
[ -e "$state/volumes/several-4125067a.several.data.qcow2" ] || qemu-img create -q -f qcow2 "$state/volumes/several-4125067a.several.data.qcow2" 10G
key=$(cut -d' ' -f2 "$state/key.pub")

exec "$qemu" -name several-4125067a-several -nodefaults -no-user-config -display none \
  -machine "$machine" -accel "${ACCEL:-tcg,thread=multi,tb-size=256}" -cpu "${CPU:-$cpu}" \
  -smp 2 -m 512 -rtc base=utc \
  -kernel "$image/vmlinuz" -initrd "$image/initrd" \
  -append "root=/dev/vda $words loglevel=6 net.ifnames=0 systemd.machine_id=ed5b5b8e34e4440affe7c04fb4dff72d provision.name=several provision.gib=12 provision.key=$key ${APPEND:-}" \
  -blockdev "driver=qcow2,node-name=root,discard=unmap,file.driver=file,file.discard=unmap,file.filename=$(option "$state/several.qcow2")" \
  -device virtio-blk-pci,drive=root \
  -blockdev "driver=qcow2,node-name=v7c0a9c7eaf8adb37,discard=unmap,file.driver=file,file.discard=unmap,file.filename=$(option "$state/volumes/several-4125067a.several.data.qcow2")" \
  -device virtio-blk-pci,drive=v7c0a9c7eaf8adb37,serial=7c0a9c7eaf8adb37 \
  -virtfs "local,id=feab0d61a99b6696edb3d2aff,path=$(option "$here/"..),mount_tag=eab0d61a99b6696edb3d2aff87b585e,security_model=none,multidevs=remap" \
  -virtfs "local,id=f7c9b5d2c140d522d843fc1ce,path=$(option "$here/"../page),mount_tag=7c9b5d2c140d522d843fc1ce516f24c,security_model=none,multidevs=remap,readonly=on" \
  -netdev "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:${SSH:-0}-:22,hostfwd=tcp:127.0.0.1:${PORT_8080_TCP:-18080}-:8080,hostfwd=tcp:127.0.0.1:${PORT_6379_TCP:-0}-:6379" \
  -device virtio-net-pci,netdev=net,romfile= \
  -device virtio-rng-pci -device virtio-balloon-pci,free-page-reporting=on \
  -chardev "file,id=console,append=on,path=$(option "$state/several.console")" -serial chardev:console \
  -device virtio-serial-pci "$@"
