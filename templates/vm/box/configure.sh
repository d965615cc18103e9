#!/bin/sh
# Turns the root file system "$1" into a machine that Vagrant can log in to.
set -eu
root=$1
in_root() { chroot "$root" "$@"; }

# A system user's id, so that 1000 is free for the spec's users.
in_root id vagrant >/dev/null 2>&1 ||
  in_root useradd --system --user-group --uid 900 --create-home --shell /bin/bash vagrant
in_root install -d -o vagrant -g "$(in_root id -gn vagrant)" -m 0700 /home/vagrant/.ssh
# Publicly known, so Vagrant replaces it at the first login.
cat >"$root/home/vagrant/.ssh/authorized_keys" <<'KEY'
ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key
KEY
in_root chown vagrant: /home/vagrant/.ssh/authorized_keys
in_root chmod 0600 /home/vagrant/.ssh/authorized_keys
chmod 0440 "$root/etc/sudoers.d/vagrant"
chmod 0755 "$root/usr/local/sbin/grow-root"

# Each machine gets its own keys and id at its first boot.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"

in_root systemctl --quiet enable ssh.service ssh-host-keys.service grow-root.service
# Timers that start by themselves and take locks that a step needs.
in_root systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer tmp.mount
