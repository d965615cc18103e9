#!/bin/sh
# users dev
# Does nothing where its record says that it was done.
set -eu
_record=/var/lib/provision/steps/138de3231a5714e39028182b21285b19
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# is_free DATABASE NAME ID: fails where another has the id.
is_free() {
  _holder=$(getent "$1" "$3" | cut -d: -f1)
  case $_holder in '' | "$2") return ;; esac
  case $1 in
    passwd) echo "user $2 cannot have uid $3: it is $_holder's" >&2 ;;
    group) echo "group $2 cannot have gid $3: it is $_holder's" >&2 ;;
  esac
  exit 1
}
# group NAME GID [--system]: makes it, or gives it the gid; an empty GID is any.
group() {
  _group=$1
  _gid=$2
  shift 2
  [ -z "$_gid" ] || is_free group "$_group" "$_gid"
  _old=$(getent group "$_group" | cut -d: -f3)
  if [ -z "$_old" ]; then
    groupadd ${_gid:+--gid "$_gid"} "$@" "$_group"
  elif [ -n "$_gid" ] && [ "$_gid" != "$_old" ]; then
    groupmod --gid "$_gid" "$_group"
    find / -xdev -gid "$_old" -exec chgrp -h "$_gid" {} +
  fi
}
# user NAME UID GID HOME SHELL: makes it, or changes it; what is empty is not changed.
user() {
  _name=$1 _uid=$2 _gid=$3 _home=$4 _shell=$5
  [ -z "$_uid" ] || is_free passwd "$_name" "$_uid"
  _entry=$(getent passwd "$_name") || _entry=
  if [ -z "$_entry" ]; then
    if [ -z "$_uid" ]; then
      _uid=1000
      while getent passwd "$_uid" || { [ -z "$_gid" ] && getent group "$_uid"; }; do
        _uid=$((_uid + 1))
      done >/dev/null
    fi
    if [ -z "$_gid" ]; then
      getent group "$_name" >/dev/null || groupadd --gid "$_uid" "$_name"
      _gid=$(getent group "$_name" | cut -d: -f3)
    fi
    # With an entry for a large id, the log of logins would be as large.
    useradd --no-log-init --uid "$_uid" --gid "$_gid" --create-home --home-dir "${_home:-/home/$_name}" \
      --shell "${_shell:-/bin/sh}" "$_name"
    return
  fi
  IFS=: read -r _ _ _old_uid _old_gid _ _old_home _old_shell <<END
$_entry
END
  if [ "${_uid:-$_old_uid}" != "$_old_uid" ]; then
    usermod --uid "$_uid" "$_name"
    find / -xdev -uid "$_old_uid" -exec chown -h "$_uid" {} +
  fi
  [ "${_gid:-$_old_gid}" = "$_old_gid" ] || usermod --gid "$_gid" "$_name"
  [ "${_shell:-$_old_shell}" = "$_old_shell" ] || usermod --shell "$_shell" "$_name"
  [ "${_home:-$_old_home}" = "$_old_home" ] || usermod --home "$_home" "$_name"
  if [ -n "$_home" ] && [ ! -e "$_home" ]; then
    install -d -m 0755 -o "$_name" -g "$(id -g "$_name")" "$_home"
  fi
}

user dev '' '' '' ''
install -d -m 0750 /etc/sudoers.d
echo 'dev ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/dev
chmod 0440 /etc/sudoers.d/dev

echo users >"$_record"
