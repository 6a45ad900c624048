#!/bin/sh
# Install what requirements/debian.txt names and this machine lacks. Best effort: it always succeeds, because every test
# that needs one of these skips without it.
list=$(dirname "$0")/debian.txt
PATH=$PATH:/usr/sbin:/sbin

present() {
  case $1 in
    *.so.*) ldconfig -p 2>/dev/null | grep -qF "$1" ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

missing() {
  sed 's/#.*//' "$list" | while read -r program package; do
    [ -z "$program" ] || present "$program" || echo "$package"
  done
}

packages=$(missing)
[ -n "$packages" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  reason="apt-get is not here"
elif [ "$(id -u)" = 0 ]; then
  root="env"
elif sudo -n true 2>/dev/null; then
  root="sudo -n env"
else
  reason="this needs root"
fi
if [ -z "$reason" ]; then
  apt="timeout 900 $root DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2"
  echo "Installing for the tests:" $packages
  $apt update >/dev/null || true
  # One by one, so that a package this release does not have costs only the tests that need it. Nothing is started.
  for package in $packages; do
    RUNLEVEL=1 $apt install -y --no-install-recommends "$package" >/dev/null || true
  done
  packages=$(missing)
  reason="the installation failed"
fi
[ -z "$packages" ] || echo "Tests that need these will skip, because $reason:" $packages >&2
exit 0
