#!/bin/sh
# guest.sh PACKAGE…: gives a root file system what a machine has beyond a container, an init and sshd
# among it, lays root/ into it, and lets configure.sh say the rest. Where changes/ says what all that
# changed in a root that this one began as, and no step touched any of it since, only that is done.
set -eu
here=${0%/*}
export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
changes=
[ ! -d "$here/changes" ] || ! sh "$here/changes.sh" fit "$here/changes" || changes=$here/changes

# Only the spec's services run: what packages enabled before there was an init is none of them.
rm -rf /etc/systemd/system/*.wants /etc/systemd/system/*.requires /etc/rc[0-9S].d/S*
find /etc/systemd/system -maxdepth 1 -type l -lname '*/systemd/system/*' ! -name default.target -delete # their other names
if [ -n "$changes" ]; then
  sh "$here/changes.sh" make "$changes"
  exit
fi
lock=$here/../lock
# A mirror that accepts connections and never answers is given up after a while.
export APT_CONFIG=/dev/shm/provision-apt.conf
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"
[ ! -e "$lock/preferences" ] || echo "Dir::Etc::Preferences \"$lock/preferences\";" >>"$APT_CONFIG"
rm -f /etc/apt/apt.conf.d/docker-clean # it would empty the download cache
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 0755 /usr/sbin/policy-rc.d
fi
# Before sshd comes: it makes the keys that it is configured for, and RSA's would take a second.
tar -C "$here/root" -c --owner=0 --group=0 --mode=u=rwX,go=rX . | tar -C / -x --no-overwrite-dir
install() {
  apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold "$@"
}
# The indexes of the step before are as good as new ones, unless the archive has changed since.
if ! install "$@" && ! { apt-get update -q && install "$@"; }; then
  [ ! -e "$lock/preferences" ] || sh "$lock/missing.sh"
  exit 1
fi
sh "$here/configure.sh" /
