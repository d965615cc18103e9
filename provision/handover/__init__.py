"""Virtual machines on another host: the verb runs there, by ssh, with this very program.

A machine of QEMU or libvirt consists of files, sockets and processes of its host: disks, logs, locks, a
network. So none of that is steered from afar. The project is copied there, provision too unless that host
has it, and the verb runs there as it would here; its output, its exit code and its ports come back
(docs/adr/0027-machines-elsewhere-by-provision-there.md).
"""
