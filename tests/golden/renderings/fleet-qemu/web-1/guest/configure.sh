#!/bin/sh
# Makes of a root file system, this one, a machine that QEMU's host can enter.
set -eu
chmod 0755 /usr/lib/provision-guest/*
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
systemctl --quiet disable rsync.service
systemctl --quiet enable provision-guest.service provision-guest-keys.service provision-guest-shell.service ssh.service
# What wakes up of its own accord, or waits for a terminal that nobody has.
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer getty.target serial-getty@ttyS0.service serial-getty@ttyAMA0.service serial-getty@hvc0.service \
  systemd-networkd.service systemd-timesyncd.service systemd-update-utmp.service \
  systemd-update-utmp-runlevel.service tmp.mount keyboard-setup.service console-setup.service networking.service
