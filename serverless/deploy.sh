#!/usr/bin/env bash
# Deploys AGSS-VOS to the Nuclio that belongs to a CVAT: serverless/deploy.sh cpu|gpu [WEIGHTS.safetensors]
#
# nuctl must have the version of CVAT's dashboard (`docker ps` shows it as quay.io/nuclio/dashboard:VERSION). Nuclio
# copies the whole folder it is given into the image, so it is given a copy of what the function needs and no more.
# Variables: CVAT_NETWORK (cvat_cvat), CVAT_FUNCTIONS_REDIS_HOST (cvat_redis_ondisk; empty for none),
# CVAT_FUNCTIONS_REDIS_PORT (6666), AGSS_BASE_IMAGE (the base image by digest, see docs/cvat.md; else by its tag).
set -euo pipefail

usage() { sed -n '2s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
case "${1:-}" in
  cpu) file="$root/serverless/function-cpu.yaml" ;;
  gpu) file="$root/function.yaml" ;;
  *) usage ;;
esac
[ $# -le 2 ] || usage
weights="${2:-}"
[ -z "$weights" ] || [ -f "$weights" ] || { echo "There is no file $weights." >&2; exit 2; }
base="${AGSS_BASE_IMAGE:-}"
[[ "$base" =~ ^([A-Za-z0-9][A-Za-z0-9./:_-]*(@sha256:[0-9a-f]{64})?)?$ ]] || {
  echo "AGSS_BASE_IMAGE is '$base'; write NAME:TAG@sha256: and 64 hexadecimal digits." >&2; exit 2; }
command -v nuctl >/dev/null || { echo "nuctl is not on the PATH; see docs/cvat.md." >&2; exit 2; }

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
for part in agss_model serverless training fiftyone_plugin pyproject.toml README.md LICENSE requirements; do
  [ ! -e "$root/$part" ] || cp -R "$root/$part" "$folder/"
done
find "$folder" -name __pycache__ -prune -exec rm -rf {} +

environment=()
host="${CVAT_FUNCTIONS_REDIS_HOST-cvat_redis_ondisk}"
if [ -n "$host" ]; then
  environment+=(--env "CVAT_FUNCTIONS_REDIS_HOST=$host")
  environment+=(--env "CVAT_FUNCTIONS_REDIS_PORT=${CVAT_FUNCTIONS_REDIS_PORT:-6666}")
fi
changes=()
if [ -n "$weights" ]; then
  cp "$weights" "$folder/weights.safetensors"
  changes+=(-e 's|value: lite$|value: /opt/nuclio/weights.safetensors|')
fi
[ -z "$base" ] || changes+=(-e "s|^\( *baseImage:\).*|\1 $base|")
sed -e '' ${changes[@]+"${changes[@]}"} "$file" >"$folder/function.yaml"

nuctl create project cvat --platform local || true # it may be there already
nuctl deploy --project-name cvat --path "$folder" --file "$folder/function.yaml" --platform local \
  ${environment[@]+"${environment[@]}"} \
  --platform-config "{\"attributes\": {\"network\": \"${CVAT_NETWORK:-cvat_cvat}\"}}"
nuctl get function --platform local
echo "Now: agss smoke http://localhost:PORT, with the port in the line above."
