#!/usr/bin/env bash
# Makes models/demo and its table: VAE (unless models/demo/vae is there), tokenizer, text encoder, latent shards, a base with
# full attention, its routers, MoGA and three ablations that go on from it alike, their evaluation on held-out stories. A stage
# whose result is there is skipped, so a run that was cut short goes on. About 20 minutes of one H100 (80 GB: two trainings
# run side by side).
#   MOGA=build/cuda/bin/moga tools/make_demo_model.sh
set -euo pipefail
cd "$(dirname "$0")/.."
moga=${MOGA:-build/cuda/bin/moga}
begin=$(date +%s)
say() { echo "[$(($(date +%s) - begin)) s] $*"; }
mkdir -p runs data

# stage RESULT COMMAND…: runs the command unless RESULT exists; its output goes to runs/<name>.log.
stage() {
  local result=$1; shift
  [ -e "$result" ] && return
  say "$*"
  "$@" > "runs/$(echo "$result" | tr / -).log" 2>&1 || { say "FAILED: $*"; tail -3 "runs/$(echo "$result" | tr / -).log"; return 1; }
}

# NAME KEY=VALUE…: one of the four, which differ in their attention only.
train() {
  local name=$1; shift
  local command=("$moga" train configs/stories.toml --resume auto --set "out=runs/$name")
  for setting in "$@"; do command+=(--set "$setting"); done
  stage "runs/$name/model" "${command[@]}"
}

evaluate() { stage "runs/evaluation/$1" "$moga" evaluate stories --model "runs/$1/model" --stories 64 --batch 16 --out "runs/evaluation/$1"; }

if [ -d models/demo/vae ] && [ ! -e runs/vae/model ]; then  # without it the VAE is trained anew, which changes all latents
  mkdir -p runs/vae
  cp -r models/demo/vae runs/vae/model
fi
stage runs/vae/model "$moga" train vae configs/demo_vae.toml
stage data/spiece.model "$moga" prepare tokenizer --count 4000 --vocab 1000 --out data/spiece.model
stage runs/text/model "$moga" train text configs/demo_text.toml
stage data/image "$moga" prepare stories configs/stories_image.toml
stage data/short "$moga" prepare stories configs/stories_short.toml
stage data/long "$moga" prepare stories configs/stories_long.toml
stage runs/base/model "$moga" train configs/base.toml --resume auto
stage runs/prompts "$moga" stories --count 3 --seed 800000 --out runs/prompts
scripts=()
for script in runs/prompts/*.toml; do scripts+=(--script "$script"); done
stage runs/calibrated "$moga" calibrate --model runs/base/model "${scripts[@]}" --steps 10 --set transformer.moga.kind=moga \
  --set transformer.moga.windows.run_frames=4 --tokens 12288 --out runs/calibrated

train stories & first=$!
train full transformer.moga.kind=full
wait "$first"
train static transformer.moga.routed=false & first=$!
train routed transformer.moga.window=false transformer.moga.frame=false
wait "$first"
for name in stories full static routed; do
  evaluate "$name"
  say "$name"
  tail -11 "runs/runs-evaluation-$name.log"
done
say "the model is runs/stories/model; what is kept goes to models/demo"
