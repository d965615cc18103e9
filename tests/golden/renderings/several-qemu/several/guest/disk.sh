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
# A changed file is to change little of the disk, as the rest is in a registry already. So the file system's
# id, which each checksum of a folder begins with, is the same for all: no machine has two of these disks.
# And /usr, the largest and steadiest, comes first: a folder holds the numbers of its files, which are
# given in alphabetical order, so that a new file renumbers all that follow it.
id=5b2f2a0e-4c43-5f39-9d0c-2e6a3a5c7a11
export E2FSPROGS_FAKE_TIME=1
mv "$root/usr" "$root/0usr"
# A journal that is soon written; all else that would be zeroed is a hole.
mke2fs -q -t ext4 -m 1 -L root -U $id -J size=32 -E lazy_itable_init=0,hash_seed=$id -d "$root" "$raw"
printf 'ln 0usr usr\nunlink 0usr\n' | debugfs -w -f - "$raw" >"$out/log" 2>&1
e2fsck -fn "$raw" >>"$out/log" 2>&1 || { cat "$out/log"; exit 1; }
rm "$out/log"
qemu-img convert -O qcow2 "$raw" "$out/disk.qcow2"
rm "$raw"
cp "$kernel/vmlinuz" "$kernel/initrd" "$out/"
