#!/bin/sh
# web-2 of fleet, a virtual machine: sh web-2.sh [QEMU arguments]
#
# Creates what is missing, then execs QEMU. The disk needs docker buildx, everything else needs
# qemu-system-x86_64 or qemu-system-aarch64, qemu-img and ssh-keygen. You can set these variables:
#   ARCHITECTURE   x86_64 or aarch64; this host's
#   STATE     the folder of its disks and key; default: beside this file
#   IMAGE     the folder of disk.qcow2, vmlinuz and initrd that it starts from
#   ACCEL     kvm, hvf or tcg,thread=multi,tb-size=256; and CPU to go with it: host, or one to emulate
#   NET       passt: the machine cannot reach what listens only on this host's loopback;
#             user: QEMU's own network, where 10.0.2.2 is that loopback. Default: passt if installed
#   SSH       the host port for its sshd; default: a free one
#   PORT_8080_TCP   the host port for 8080/tcp
#   NETWORK   the multicast group and port, on the loopback, for the machines' own network
#   APPEND    additional kernel parameters
# How its disk is built (backends.vm.build): auto
set -eu
umask 077 # disks, saved states, keys and sockets are private
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

mkdir -p "$state"
[ -e "$image/disk.qcow2" ] || docker buildx build --platform "$platform" --output "type=local,dest=$image" "$here/web-2"
# Each is made beside its place, for whoever is killed meanwhile would leave a half.
if [ ! -e "$state/key" ]; then
  rm -f "$state/key.new"
  ssh-keygen -q -t ed25519 -N '' -C provision -f "$state/key.new"
  mv "$state/key.new.pub" "$state/key.pub"
  mv "$state/key.new" "$state/key"
fi
disk() { # the file, and what qemu-img is told
  [ ! -e "$1" ] || return 0
  file=$1 && shift
  qemu-img create -q -f qcow2 "$@"
  mv "$file.new" "$file"
}
disk "$state/web-2.qcow2" -F qcow2 -b "$image/disk.qcow2" "$state/web-2.qcow2.new" 10G
key=$(cut -d' ' -f2 "$state/key.pub")
: >"$state/web-2.console"

if [ -z "${NET:-}" ]; then
  if command -v pasta >/dev/null && command -v passt >/dev/null; then NET=passt; else NET=user; fi
fi
case $NET in
passt)
  # passt makes the guest's connections, including those to 127.0.0.1 and 0.0.0.0. So it runs in a network
  # namespace with an empty loopback. pasta lets its connections out, except to this host's
  # loopback, and forwarded ports in. Both exit with QEMU.
  free() { echo $(($(od -An -N2 -tu2 /dev/urandom) % 16384 + 49152)); }
  [ "$(id -u)" -ne 0 ] || { without='--runas 0 --netns-only' within='--runas 0'; }
  socket=${SOCKET:-$state/web-2.net}
  rm -f "$socket"
  # shellcheck disable=SC2086 # words
  setsid pasta -4 -f -q ${without-} --config-net -a 10.0.3.2 -n 24 -g 10.0.3.1 --no-map-gw \
    --dns-forward 10.0.2.3 -T none -U none -t "127.0.0.1/${SSH:-$(free)}:20000" \
    -t 127.0.0.1"/${PORT_8080_TCP:-$(free)}:20001" \
    -u none \
    -- passt -1 -4 -f -q ${within-} -s "$socket" -a 10.0.2.15 -n 24 -g 10.0.2.2 -M 52:55:0a:00:02:02 \
    -t 20000:22 -t 20001:8080 >"$state/web-2.net.log" 2>&1 </dev/null &
  tries=0
  until [ -S "$socket" ]; do
    tries=$((tries + 1))
    if ! kill -0 $! 2>/dev/null || [ $tries -gt 200 ]; then
      grep -v syslog "$state/web-2.net.log" >&2
      echo "the network of web-2 did not start; NET=user works without passt" >&2
      exit 1
    fi
    sleep 0.05
  done
  netdev=stream,id=net,server=off,addr.type=unix,addr.path=$(option "$socket")
  ;;
*)
  netdev="user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:${SSH:-0}-:22,hostfwd=tcp:127.0.0.1:${PORT_8080_TCP:-0}-:8080"
  ;;
esac

exec "$qemu" -name fleet-bf4345fa-web-2 -nodefaults -no-user-config -display none \
  -machine "$machine" -accel "${ACCEL:-tcg,thread=multi,tb-size=256}" -cpu "${CPU:-$cpu}" \
  -smp 2 -m 1024 -rtc base=utc \
  -kernel "$image/vmlinuz" -initrd "$image/initrd" \
  -append "root=/dev/vda $words loglevel=6 net.ifnames=0 systemd.machine_id=559c87e2643d08d51b53d3363e788f09 provision.name=web-2 provision.gib=10 provision.address=198.18.97.14/16 provision.key=$key ${APPEND:-}" \
  -blockdev "driver=qcow2,node-name=root,discard=unmap,file.driver=file,file.discard=unmap,file.filename=$(option "$state/web-2.qcow2")" \
  -device virtio-blk-pci,drive=root \
  -netdev "$netdev" \
  -device virtio-net-pci,netdev=net,romfile= \
  -netdev "socket,id=lan,mcast=${NETWORK:-239.192.110.222:35185},localaddr=127.0.0.1" \
  -device virtio-net-pci,netdev=lan,romfile=,mac=52:54:00:d6:9a:45 \
  -fw_cfg name=opt/provision/hosts,string='198.18.208.209 db db.example.org database # neighbour
198.18.149.250 web-1 web # neighbour
198.18.97.14 web-2 web # neighbour' \
  -device virtio-rng-pci -device virtio-balloon-pci,free-page-reporting=on \
  -chardev "file,id=console,append=on,path=$(option "$state/web-2.console")" -serial chardev:console \
  -device virtio-serial-pci "$@"
