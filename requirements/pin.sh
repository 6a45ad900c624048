#!/bin/sh
# Pins what the function's images install: every package with the hashes of its files, at the versions of dev.txt.
#   requirements/pin.sh        writes function-cpu.txt and function-gpu.txt; needs uv (pip install uv)
# Images are Linux on x86-64 with the Python of their base image. torch for a CPU has an index of its own; TORCH_WHEELS
# names a folder that has the wheel where that index cannot be reached.
set -eu
cd "$(dirname "$0")/.."
torch=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' requirements/dev.txt)

pin() { # NAME OPTIONS...; what is wanted beside the project's own dependencies comes from standard input
  name=$1
  shift
  {
    echo "# Made by requirements/pin.sh; the function's image installs it with --require-hashes."
    uv pip compile pyproject.toml - --constraints requirements/dev.txt --python-version 3.11 --quiet \
      --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header --no-annotate "$@"
  } >"requirements/$name.part"
  mv "requirements/$name.part" "requirements/$name"
}

# setuptools builds the project's own wheel in the image, which then needs nothing from outside.
echo "setuptools>=77" | pin function-gpu.txt --extra serverless
printf 'setuptools>=77\ntorch==%s+cpu\n' "$torch" | pin function-cpu.txt --extra serverless --extra onnx \
  ${TORCH_WHEELS:+--find-links "$TORCH_WHEELS"} $([ -n "${TORCH_WHEELS:-}" ] || echo --torch-backend cpu)
