#!/usr/bin/env bash
# Fits the decoder of previews (moga generate --preview) to the VAE of any model folder, on films:
#   tools/fit_preview.sh MODEL/vae FILM…      without films: on drawn stories, as for models/demo
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
program=$root/build/cuda/bin/moga
[ -x "$program" ] || program=$root/build/cpu/bin/moga
vae=$1
shift
films=()
for film in "$@"; do films+=(--film "$film"); done
exec "$program" train preview "$vae" "${films[@]}"
