# Makes the file system of DISK's only partition from the root in TAR: disk.sh TAR DISK MOUNT KIB
# Runs in a mount namespace of its own, so nothing is left of MOUNT, however this ends.
set -eu
tar=$1 disk=$2 mount=$3 kib=$4
mount --make-rprivate /
mount -t tmpfs -o mode=0755 root "$mount"
tar --extract --numeric-owner --exclude './dev/*' --file "$tar" --directory "$mount"
# The features that boot loaders and resize2fs of all releases know.
mke2fs -q -F -t ext4 -L root -U "$FILESYSTEM_ID" -d "$mount" \
  -O none,dir_index,dir_nlink,ext_attr,extent,extra_isize,filetype,flex_bg,has_journal,huge_file,large_file,metadata_csum,resize_inode,sparse_super,64bit \
  -E "offset=1048576,hash_seed=$FILESYSTEM_ID,lazy_itable_init=1,nodiscard" "$disk" "${kib}k"
