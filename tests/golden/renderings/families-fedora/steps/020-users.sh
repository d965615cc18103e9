#!/bin/sh
# users dev
# Does nothing if its record exists, because then it has succeeded.
set -eu
_record=/var/lib/provision/steps/bce5cd98bdf9cf043e9ca9a73b742afb
[ ! -e "$_record" ] || exit 0
umask 022
[ -d "${_record%/*}" ] || mkdir -p "${_record%/*}"
export LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# is_free DATABASE NAME ID: fails if another name has the id.
is_free() {
  _holder=$(getent "$1" "$3" | cut -d: -f1)
  case $_holder in '' | "$2") return ;; esac
  case $1 in
    passwd) echo "user $2 cannot have uid $3: it is $_holder's" >&2 ;;
    group) echo "group $2 cannot have gid $3: it is $_holder's" >&2 ;;
  esac
  exit 1
}
# move DATABASE NAME ID: changes the id of an existing entry, and the ownership of its files.
move() {
  _old=$(getent "$1" "$2" | cut -d: -f3)
  case $_old in '' | "$3") return ;; esac
  is_free "$1" "$2" "$3"
  case $1 in
    passwd)
      usermod --uid "$3" "$2"
      find / -xdev -user "$_old" -exec chown -h "$3" {} +
      ;;
    group)
      groupmod --gid "$3" "$2"
      find / -xdev -group "$_old" -exec chgrp -h "$3" {} +
      ;;
  esac
}
# group NAME GID [--system]: creates the group, or sets its gid; an empty GID means any.
group() {
  _group=$1
  _gid=$2
  shift 2
  [ -z "$_gid" ] || is_free group "$_group" "$_gid"
  if ! getent group "$_group" >/dev/null; then
    groupadd ${_gid:+--gid "$_gid"} "$@" "$_group"
  elif [ -n "$_gid" ]; then
    move group "$_group" "$_gid"
  fi
}
# user NAME UID GID HOME SHELL: creates or changes the user; empty values are not changed.
user() {
  _name=$1 _uid=$2 _gid=$3 _home=$4 _shell=$5
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
    # With a large id, the login log would become equally large.
    useradd --no-log-init --uid "$_uid" --gid "$_gid" --create-home --home-dir "${_home:-/home/$_name}" \
      --shell "${_shell:-/bin/sh}" "$_name"
    return
  fi
  [ -z "$_uid" ] || move passwd "$_name" "$_uid"
  IFS=: read -r _ _ _ _old_gid _ _old_home _old_shell <<END
$_entry
END
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
