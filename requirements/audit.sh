#!/bin/sh
# Looks for known holes in what is deployed and in what the project is developed with.
#   requirements/audit.sh        needs pip-audit and the database it asks, the package index's
# It fails, too, where nothing could be learned of a package: silence is not safety.
set -eu
cd "$(dirname "$0")"
copies=$(mktemp -d)
trap 'rm -r "$copies"' EXIT
status=0
for image in cpu gpu; do
  # The database knows releases, not the builds of one, such as 2.13.0+cpu.
  sed 's/^\([^ ]*\)+cpu /\1 /' "function-$image.txt" >"$copies/function-$image.txt"
  pip-audit --strict --disable-pip --require-hashes -r "$copies/function-$image.txt" || status=1
done
pip-audit --strict --disable-pip --no-deps -r dev.txt || status=1
exit $status
