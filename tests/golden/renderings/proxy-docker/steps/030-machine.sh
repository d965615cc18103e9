#!/bin/sh
# services and setup
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/2cee4b149052c1cc6cfb73e24d157a60
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# For this step: the proxy's certificate in addition to those that the system trusts.
if [ -e /run/provision/proxy/ca.crt ]; then
  bundle=/dev/shm/provision-ca.crt
  cat /etc/ssl/certs/ca-certificates.crt /run/provision/proxy/ca.crt >"$bundle" 2>/dev/null || true
  echo "Acquire::https::CAInfo \"$bundle\";" >/dev/shm/provision-apt.conf
  export APT_CONFIG=/dev/shm/provision-apt.conf
  export SSL_CERT_FILE="$bundle"
  export CURL_CA_BUNDLE="$bundle"
  export GIT_SSL_CAINFO="$bundle"
  export REQUESTS_CA_BUNDLE="$bundle"
  export PIP_CERT="$bundle"
  export NODE_EXTRA_CA_CERTS="$bundle"
fi

rm -rf /usr/lib/provision
mkdir -p /usr/lib/provision
cp -R "${0%/*}/../machine/." /usr/lib/provision
chmod -R u=rwX,go=rX /usr/lib/provision
# Some packages bring a generator that makes systemd start their service even if disabled
# (PostgreSQL does). Generators for disks, network and boot stay.
for generator in /lib/systemd/system-generators/*; do
  case ${generator##*/} in
    systemd-* | cloud-init-generator | netplan | lvm2-activation-generator | zfs-mount-generator | '*') ;;
    *)
      mkdir -p /etc/systemd/system-generators
      ln -sf /dev/null "/etc/systemd/system-generators/${generator##*/}"
      ;;
  esac
done

echo machine >"$_record"
