#!/bin/sh
# locale and time zone
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/5a7258307ab846127bd90c1f1755ec63
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

# A package's daemon never starts by itself: only the spec's services run.
cat >/usr/sbin/policy-rc.d <<'END'
#!/bin/sh
exit 101
END
chmod 0755 /usr/sbin/policy-rc.d
ln -sf /usr/share/zoneinfo/UTC /etc/localtime
echo UTC >/etc/timezone
mkdir -p /etc/default
echo LANG=C.UTF-8 >/etc/default/locale

echo system >"$_record"
