#!/bin/sh
# disk.sh ROOT KERNEL GIB OUT: makes disk.qcow2 of a root file system, its kernel beside it.
set -eu
root=$1 kernel=$2 gib=$3 out=$4
mkdir -p "$out"
# Folders that an engine leaves empty because it mounts its own there.
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/.dockerenv"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
echo localhost >"$root/etc/hostname"
echo "$gib" >"$root/usr/lib/provision-guest/gib"
mkdir -p "$root/lib/modules"
cp -a "$kernel/modules/." "$root/lib/modules/"
raw=$out/disk.raw
truncate -s "${gib}G" "$raw"
# A journal that is soon written; all else that would be zeroed is a hole.
mke2fs -q -t ext4 -m 1 -L root -J size=32 -E lazy_itable_init=0 -d "$root" "$raw"
qemu-img convert -O qcow2 "$raw" "$out/disk.qcow2"
rm "$raw"
cp "$kernel/vmlinuz" "$kernel/initrd" "$out/"
