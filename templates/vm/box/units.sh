#!/bin/sh
# Keeps which units are the machine's own, for `apply`, which disables what a later step enables. Those
# of the spec's services `apply` brings too: they begin once the machine has what its host gives.
set -eu
mkdir -p /var/lib/provision
# What a build step has enabled: packages' units have been disabled since, or systemd was not there yet.
[ ! -e /var/lib/provision/enabled-units ] || xargs -r systemctl --quiet --root=/ enable </var/lib/provision/enabled-units
systemctl --root=/ list-unit-files --state=enabled --no-legend --no-pager | cut -d' ' -f1 | sort >/var/lib/provision/enabled
