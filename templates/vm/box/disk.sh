#!/bin/sh
# disk.sh ROOT KERNEL FORMAT GIB OUT: makes OUT/disk of a root file system, which boots by itself, as qcow2
# or vmdk; OUT/gib says how large it is: GIB or more. KERNEL is a folder of boot and modules, or /dev/null:
# the root has them.
set -eu
root=$1 kernel=$2 format=$3 gib=$4 out=$5
room=$((512 << 10)) # KiB that stay free
id=${FILESYSTEM_ID:-$(cat /proc/sys/kernel/random/uuid)}
mkdir -p "$out"
# Folders that an engine leaves empty because it mounts its own there.
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/.dockerenv"
: >"$root/etc/resolv.conf"
echo localhost >"$root/etc/hostname"
if [ -d "$kernel" ]; then
  mkdir -p "$root/boot" "$root/lib/modules"
  cp -a "$kernel/boot/." "$root/boot/"
  cp -a "$kernel/modules/." "$root/lib/modules/"
  for file in vmlinuz initrd.img; do
    [ -e "$root/$file" ] || for each in "$root/boot/$file"-*; do
      ln -sf "${each#"$root/"}" "$root/$file"
    done
  done
fi
used=$(du -sk "$root" | cut -f1)
needed=$(((used * 9 / 8 + room + (1 << 20) - 1) >> 20))
[ "$gib" -ge "$needed" ] || gib=$needed

# One partition, and before it GRUB as bytes.
raw=$out/disk.raw
truncate -s "${gib}G" "$raw"
# The features that boot loaders and resize2fs of all releases know.
mke2fs -q -F -t ext4 -L root -U "$id" -d "$root" \
  -O none,dir_index,dir_nlink,ext_attr,extent,extra_isize,filetype,flex_bg,has_journal,huge_file,large_file,metadata_csum,resize_inode,sparse_super,64bit \
  -E "offset=1048576,hash_seed=$id,lazy_itable_init=1,nodiscard" "$raw" "$(((gib << 20) - 1024))k"
sfdisk --quiet --no-reread --no-tell-kernel "$raw" <<TABLE
label: dos
label-id: 0x${id%%-*}
start=2048, type=83, bootable
TABLE
grub-mkimage --format=i386-pc '--prefix=(,msdos1)/boot/grub' "--output=$out/core" \
  biosdisk boot configfile ext2 linux normal part_msdos
[ "$(stat -c %s "$out/core")" -le $((2047 * 512)) ] || {
  echo "GRUB does not fit before the first partition: is grub-pc-bin a usual one?" >&2
  exit 1
}
# As it comes, boot.img reads on at the second sector, where the rest then is; behind its code are the
# disk's id and the table.
dd if=/usr/lib/grub/i386-pc/boot.img of="$raw" bs=440 count=1 conv=notrunc status=none
dd if="$out/core" of="$raw" bs=512 seek=1 conv=notrunc status=none

case $format in
qcow2) # zstd packs it in a fifth of the time; QEMU before 5.1 has it not
  qemu-img convert -O qcow2 -c -o compression_type=zstd "$raw" "$out/disk" ||
    qemu-img convert -O qcow2 -c "$raw" "$out/disk"
  ;;
vmdk) qemu-img convert -O vmdk -o subformat=streamOptimized "$raw" "$out/disk" ;;
esac
cp -L "$root/vmlinuz" "$out/vmlinuz" # by it a host tries what boots it
echo "$gib" >"$out/gib"
rm "$raw" "$out/core"
