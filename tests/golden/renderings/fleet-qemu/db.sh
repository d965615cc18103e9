#!/bin/sh
# db of fleet, a virtual machine: sh db.sh [words for QEMU]
#
# Makes what is missing, then becomes QEMU: the disk is built by docker buildx, all else needs
# qemu-system-x86_64 or qemu-system-aarch64, qemu-img and ssh-keygen. These variables may be set:
#   ARCHITECTURE   x86_64 or aarch64; this host's
#   STATE     where its disks and its key are; beside this file
#   IMAGE     the folder of disk.qcow2, vmlinuz and initrd that it begins with
#   ACCEL     kvm, hvf or tcg,thread=multi,tb-size=256; and CPU to go with it: host, or one to emulate
#   SSH       the host's port that leads to its sshd; a free one
#   NETWORK   the multicast group and port, on the loopback, that is the machines' own network
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
[ -e "$image/disk.qcow2" ] || docker buildx build --platform "$platform" --output "type=local,dest=$image" "$here/db"
[ -e "$state/key" ] || ssh-keygen -q -t ed25519 -N '' -C provision -f "$state/key"
[ -e "$state/db.qcow2" ] ||
  qemu-img create -q -f qcow2 -F qcow2 -b "$image/disk.qcow2" "$state/db.qcow2" 10G
[ -e "$state/volumes/fleet-bf4345fa.db.data.qcow2" ] || qemu-img create -q -f qcow2 "$state/volumes/fleet-bf4345fa.db.data.qcow2" 10G
key=$(cut -d' ' -f2 "$state/key.pub")

exec "$qemu" -name fleet-bf4345fa-db -nodefaults -no-user-config -display none \
  -machine "$machine" -accel "${ACCEL:-tcg,thread=multi,tb-size=256}" -cpu "${CPU:-$cpu}" \
  -smp 2 -m 1024 -rtc base=utc \
  -kernel "$image/vmlinuz" -initrd "$image/initrd" \
  -append "root=/dev/vda $words loglevel=6 net.ifnames=0 systemd.machine_id=9ea0e6057d1f508de1f97b0fb01e089a provision.name=db.example.org provision.gib=10 provision.address=198.18.208.209/16 provision.key=$key ${APPEND:-}" \
  -blockdev "driver=qcow2,node-name=root,discard=unmap,file.driver=file,file.discard=unmap,file.filename=$(option "$state/db.qcow2")" \
  -device virtio-blk-pci,drive=root \
  -blockdev "driver=qcow2,node-name=v84afa51d1d6e0ac9,discard=unmap,file.driver=file,file.discard=unmap,file.filename=$(option "$state/volumes/fleet-bf4345fa.db.data.qcow2")" \
  -device virtio-blk-pci,drive=v84afa51d1d6e0ac9,serial=84afa51d1d6e0ac9 \
  -netdev "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:${SSH:-0}-:22" \
  -device virtio-net-pci,netdev=net,romfile= \
  -netdev "socket,id=lan,mcast=${NETWORK:-239.192.110.222:35185},localaddr=127.0.0.1" \
  -device virtio-net-pci,netdev=lan,romfile=,mac=52:54:00:fc:f2:29 \
  -fw_cfg name=opt/provision/hosts,string='198.18.208.209 db db.example.org database # neighbour
198.18.149.250 web-1 web # neighbour
198.18.97.14 web-2 web # neighbour' \
  -device virtio-rng-pci -device virtio-balloon-pci,free-page-reporting=on \
  -chardev "file,id=console,append=on,path=$(option "$state/db.console")" -serial chardev:console \
  -device virtio-serial-pci "$@"
