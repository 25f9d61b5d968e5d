#!/usr/bin/env bash
# Makes the demo model and the README's table: VAE (unless models/demo/vae exists), tokenizer, text encoder, latent shards, a
# base model with full attention, its routers, MoGA and three ablations that all start from the base, and their evaluation on
# held-out stories. Stages whose result exists are skipped, so an interrupted run continues. Takes about 20 minutes on one
# H100 (80 GB, because two trainings run side by side).
#   MOGA=build/cuda/bin/moga tools/make_demo_model.sh
# UNTIL=routers ends after the base model and its routers.
set -euo pipefail
cd "$(dirname "$0")/.."
moga=${MOGA:-build/cuda/bin/moga}
logs=runs
. tools/stages.sh
mkdir -p runs data

# train NAME KEY=VALUE…: trains one of the four models, which differ only in their attention.
train() {
  local name=$1; shift
  local command=("$moga" train configs/stories.toml --resume auto --set "out=runs/$name")
  for setting in "$@"; do command+=(--set "$setting"); done
  stage "runs/$name/model" "${command[@]}"
}

evaluate() { stage "runs/evaluation/$1" "$moga" evaluate stories --model "runs/$1/model" --stories 64 --batch 16 --out "runs/evaluation/$1"; }

if [ -d models/demo/vae ] && [ ! -e runs/vae/model ]; then  # otherwise the VAE is trained again, which changes all latents
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

[ "${UNTIL:-}" = routers ] && exit

train stories & first=$!
train full transformer.moga.kind=full
wait "$first"
train static transformer.moga.routed=false & first=$!
train routed transformer.moga.window=false transformer.moga.frame=false
wait "$first"
for name in stories full static routed; do
  evaluate "$name"
  say "$name"
  tail -11 "$(log_of "runs/evaluation/$name")"
done
say "the model is runs/stories/model; copy it to models/demo to keep it"
