#!/bin/sh
# run: timed
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/ed7297d2d252969668fbebaf468c9c09
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# For this step: a mirror that accepts connections and never answers is given up after a while.
export APT_CONFIG=/dev/shm/provision-apt.conf
echo 'Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20";' >"$APT_CONFIG"

export DEBIAN_FRONTEND=noninteractive
_script=${_record%/*}/timed.sh
trap 'rm -f "$_script"' EXIT
cat >"$_script" <<'END'
systemctl enable --now cron
END
_commands=$(mktemp -d)
trap 'rm -rf "$_script" "$_commands"' EXIT
cat >"$_commands/systemctl" <<'SYSTEMCTL'
#!/bin/sh
# systemctl for a build step: records the units that it enables, because units that packages enable do not start.
_verb=
for _word; do
  shift
  case $_verb:$_word in
    *:--now) [ -d /run/systemd/system ] || continue ;; # nothing runs during an image build
    *:-*) ;;
    :*) _verb=$_word ;;
    *able:* | mask:*)
      _unit=${_word##*/}
      case $_unit in *.*) ;; *) _unit=$_unit.service ;; esac
      _others=$(grep -vxF -e "$_unit" /var/lib/provision/enabled-units 2>/dev/null)
      case $_verb in disable | mask) _unit= ;; esac
      printf '%s\n' $_others $_unit | grep . >/var/lib/provision/enabled-units
      ;;
  esac
  set -- "$@" "$_word"
done
for _systemctl in /usr/bin/systemctl /bin/systemctl; do
  [ ! -x "$_systemctl" ] || exec "$_systemctl" "$@"
done
case $_verb in
  *able | *mask | daemon-reload | preset) exit 0 ;; # systemd comes later, and enables what was recorded
esac
echo "systemctl $_verb: systemd is not there while this step runs" >&2
exit 1
SYSTEMCTL
chmod 0755 "$_commands/systemctl"
export PATH="$_commands:$PATH"
cd /
HOME=/root sh -eu "$_script"

echo timed >"$_record"
