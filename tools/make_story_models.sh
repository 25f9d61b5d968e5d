#!/usr/bin/env bash
# Trains two more models on the stories, at the same time on one GPU, and evaluates both on held-out stories:
#
#   mmdit   the paper's second model, from scratch, as the demo model was trained: same data, steps and seeds (about 15 minutes)
#   i2v     models/demo with additional input channels for the images of shots: 1,200 short and 1,400 long steps (about 5 minutes)
#
#   MOGA=build/cuda/bin/moga tools/make_story_models.sh [mmdit] [i2v]      without arguments: both
#
# Times are estimates for one H200. Both read the same shards; the MMDiT ignores the images that they store. Stages whose result
# exists are skipped, so an interrupted run continues. Results: runs/stories_mmdit/model, runs/stories_i2v/model, a film of four shots
# from four images (out/i2v/film.y4m, with a contact sheet), and runs/evaluation/NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
moga=${MOGA:-build/cuda/bin/moga}
logs=runs
. tools/stages.sh
mkdir -p runs data out/i2v

wait_for() { while [ ! -e "$1" ]; do sleep 1; kill -0 "$data" 2>/dev/null || [ -e "$1" ] || { say "no $1" >&2; exit 1; }; done; }

evaluate() { stage "runs/evaluation/$1/evaluation.json" "$moga" evaluate stories --model "$2" --stories 64 --batch 16 --out "runs/evaluation/$1"; }

prepare() {
  for name in image short long; do
    stage "data/$name/dataset.json" nice -n 10 "$moga" prepare stories "configs/stories_$name.toml" \
      --set images.form=condition --set images.share=0.8
  done
}

mmdit() {
  stage runs/text/model "$moga" train text configs/demo_text.toml
  wait_for data/image/dataset.json
  wait_for data/short/dataset.json
  stage runs/base_mmdit/model "$moga" train configs/base_mmdit.toml --resume auto
  stage runs/prompts/story-800002.toml "$moga" stories --count 3 --seed 800000 --out runs/prompts
  local scripts=()
  for script in runs/prompts/*.toml; do scripts+=(--script "$script"); done
  stage runs/calibrated_mmdit "$moga" calibrate --model runs/base_mmdit/model "${scripts[@]}" --steps 10 --tokens 12288 \
    --set transformer.moga.kind=moga --set transformer.moga.windows.run_frames=4 --out runs/calibrated_mmdit
  wait_for data/long/dataset.json
  stage runs/stories_mmdit/model "$moga" train configs/stories_mmdit.toml --resume auto
  evaluate mmdit runs/stories_mmdit/model
}

i2v() {
  wait_for data/long/dataset.json
  stage runs/stories_i2v/model "$moga" train configs/stories_i2v.toml --resume auto --set stage.0.data=data/short --set stage.1.data=data/long
  stage out/i2v/story-31.toml "$moga" stories --images --shots 4 --seed 31 --out out/i2v
  stage out/i2v/film.y4m "$moga" generate out/i2v/story-31.toml --model runs/stories_i2v/model --out out/i2v/film.y4m
  evaluate i2v runs/stories_i2v/model
}

[ $# -gt 0 ] || set -- mmdit i2v
for model in "$@"; do
  case $model in
    mmdit | i2v) ;;
    *) echo "make_story_models.sh: '$model' is not mmdit or i2v" >&2; exit 1 ;;
  esac
done
if [ ! -e runs/vae/model ]; then mkdir -p runs/vae && cp -r models/demo/vae runs/vae/model; fi
[ -e data/spiece.model ] || cp models/demo/tokenizer/spiece.model data/spiece.model
trap 'jobs -p | xargs -r kill 2>/dev/null' EXIT
prepare & data=$!
running=()
for model in "$@"; do "$model" & running+=($!); done
for process in "${running[@]}"; do wait "$process"; done
wait "$data"
for model in "$@"; do tail -11 "$(log_of "runs/evaluation/$model/evaluation.json")"; done
