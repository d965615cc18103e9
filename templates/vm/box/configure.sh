#!/bin/sh
# Makes of a root file system, "$1", a machine that Vagrant can enter.
set -eu
root=$1
in_root() { chroot "$root" "$@"; }

# A system user's id leaves 1000 to the users of a spec.
in_root id vagrant >/dev/null 2>&1 ||
  in_root useradd --system --user-group --uid 900 --create-home --shell /bin/bash vagrant
in_root install -d -o vagrant -g "$(in_root id -gn vagrant)" -m 0700 /home/vagrant/.ssh
# Known to everyone, so Vagrant puts another in its place when it first enters.
cat >"$root/home/vagrant/.ssh/authorized_keys" <<'KEY'
ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key
KEY
in_root chown vagrant: /home/vagrant/.ssh/authorized_keys
in_root chmod 0600 /home/vagrant/.ssh/authorized_keys
chmod 0440 "$root/etc/sudoers.d/vagrant"
chmod 0755 "$root/usr/local/sbin/grow-root"

# Each machine is itself: its keys and its id are made at its first boot.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"

in_root systemctl --quiet enable ssh.service ssh-host-keys.service grow-root.service
# What wakes up of its own accord, and takes locks that a step wants.
in_root systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer tmp.mount
