#!/bin/sh
# Keeps which units are the machine's own, for `apply`, which disables what a later step enables. Those
# of the spec's services `apply` brings too: they begin once the machine has what its host gives.
set -eu
mkdir -p /var/lib/provision
systemctl --root=/ list-unit-files --state=enabled --no-legend --no-pager | cut -d' ' -f1 | sort >/var/lib/provision/enabled
