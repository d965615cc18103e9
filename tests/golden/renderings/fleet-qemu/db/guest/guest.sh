#!/bin/sh
# Gives a root file system what a machine has beyond a container: an init, sshd, and what the tool asks.
set -eu
here=${0%/*}
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the cache of downloads

# Only the spec's services run: what packages enabled before there was an init is none of them.
rm -rf /etc/systemd/system/*.wants /etc/systemd/system/*.requires /etc/rc[0-9S].d/S*
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 0755 /usr/sbin/policy-rc.d
fi
# Before sshd comes: it makes the keys that it is configured for, and RSA's would take a second.
cp -R "$here/root/." /
install() {
  apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold \
    bindfs dbus e2fsprogs kmod openssh-server rsync systemd-sysv udev
}
# The indexes of the step before are as good as new ones, unless the archive has changed since.
install || { apt-get update -q && install; }
chmod 0755 /usr/lib/provision-guest/*
chmod 0644 /etc/systemd/system/provision-guest*.service /etc/ssh/sshd_config.d/provision.conf
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
systemctl --quiet disable rsync.service
systemctl --quiet enable provision-guest.service provision-guest-keys.service provision-guest-shell.service ssh.service
# What wakes up of its own accord, or waits for a terminal that nobody has.
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer getty.target serial-getty@ttyS0.service serial-getty@hvc0.service \
  systemd-networkd.service systemd-timesyncd.service systemd-update-utmp.service \
  systemd-update-utmp-runlevel.service keyboard-setup.service console-setup.service networking.service
