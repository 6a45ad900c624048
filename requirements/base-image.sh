#!/bin/sh
# Records the digest that the function's base image has today, in function.yaml and serverless/function-cpu.yaml:
#   requirements/base-image.sh [python:3.11.14-slim-bookworm]       needs docker with buildx, and the registry
# Run it again for security updates, which come under the same name; then build, and `agss smoke` what was built.
set -eu
cd "$(dirname "$0")/.."
recorded=$(sed -n 's/^ *baseImage: \([^ @]*\).*/\1/p' function.yaml)
name=${1:-$recorded}
digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$name")
case $digest in
  sha256:????????????????????????????????????????????????????????????????) ;;
  *) echo "docker says that the digest of $name is '$digest', which is none." >&2; exit 1 ;;
esac
for file in function.yaml serverless/function-cpu.yaml; do
  sed "s|^\( *baseImage:\).*|\1 $name@$digest|" "$file" >"$file.part"
  mv "$file.part" "$file"
done
echo "$name@$digest"
