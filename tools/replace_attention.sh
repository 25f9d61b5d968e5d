#!/usr/bin/env bash
# Measures what happens when a model's full attention is replaced by MoGA: branches combined by their mean or by lse, with its
# own routers (random if it has none) and with calibrated ones, untrained and fine-tuned for some steps. Three measures: the
# error of each layer's attention (moga calibrate); the error of the latents of held-out stories from the same noise, compared
# with full attention (moga compare); and the accuracy of colours (moga evaluate stories). Stages whose result exists are skipped.
#   MOGA=build/cuda/bin/moga MODEL=runs/full/model OUT=runs/replaced tools/replace_attention.sh
# STEPS: train steps of fine-tuning (0 for none). STORIES: number of held-out stories. SAMPLER, SIZE: options of generation and
# of stories.
set -euo pipefail
cd "$(dirname "$0")/.."
moga=${MOGA:-build/cuda/bin/moga}
model=${MODEL:-runs/full/model}
out=${OUT:-runs/replaced}
steps=${STEPS:-500}
stories=${STORIES:-64}
read -ra sampler <<< "${SAMPLER:-}"
read -ra size <<< "${SIZE:---width 224 --height 128 --frames 129}"
mkdir -p "$out/log"

# stage RESULT COMMAND…: runs COMMAND unless RESULT exists. Its output goes to $out/log.
stage() {
  local result=$1; shift
  [ -e "$result" ] && return
  "$@" > "$out/log/$(basename "$result").log" 2>&1 || { echo "FAILED: $*"; tail -3 "$out/log/$(basename "$result").log"; return 1; }
}

stage "$out/prompts" "$moga" stories --count 4 --seed 800000 "${size[@]}" --out "$out/prompts"
stage "$out/films" "$moga" stories --count 4 --seed 900000 "${size[@]}" --out "$out/films"
scripts=()
for script in "$out"/prompts/*.toml; do scripts+=(--script "$script"); done
stage "$out/calibrated" "$moga" calibrate --model "$model" "${scripts[@]}" "${sampler[@]}" --json "$out/calibration.json" \
  --out "$out/calibrated"

# measure NAME MODEL OPTION…: evaluates the accuracy, and generates the latents of the stories in $out/films
measure() {
  local name=$1 folder=$2; shift 2
  stage "$out/accuracy-$name" "$moga" evaluate stories --model "$folder" --stories "$stories" --batch 16 "${size[@]}" \
    "${sampler[@]}" "$@" --out "$out/accuracy-$name"
  for film in "$out"/films/*.toml; do
    local latents
    latents=$out/latents-$name-$(basename "$film" .toml).safetensors
    stage "$latents" "$moga" generate "$film" --no-plan --model "$folder" --save-latents "$latents" "${sampler[@]}" "$@" \
      --out "$out/film-$name.y4m"
  done
}

# tune NAME COMBINE: fine-tunes the calibrated model
tune() {
  stage "$out/$1/model" "$moga" train configs/stories.toml --set "init=$out/calibrated" --set "out=$out/$1" \
    --set "transformer.moga.combine=$2" --set "stage.0.steps=$steps" --set stage.0.lr=3e-4 --set samples.every=0
}

measure full "$model" --set transformer.moga.kind=full
for combine in mean lse; do
  measure "own-$combine" "$model" --set transformer.moga.kind=moga --set "transformer.moga.combine=$combine"
  measure "calibrated-$combine" "$out/calibrated" --set "transformer.moga.combine=$combine"
  [ "$steps" -gt 0 ] || continue
  tune "tuned-$combine" "$combine"
  measure "tuned-$combine" "$out/tuned-$combine/model"
done

sed -n '/^layer/,/^all/p' "$out/log/calibrated.log"
tail -2 "$out/log/calibrated.log"
printf '\n%-18s %10s   %s\n' attention accuracy "relative error of the latents of each video, compared with full attention"
for accuracy in "$out"/accuracy-*; do
  name=${accuracy#"$out"/accuracy-}
  line=$(awk '$1 == "all" { print $(NF - 1) " %" }' "$out/log/accuracy-$name.log")
  errors=
  for full in "$out"/latents-full-*.safetensors; do
    errors+=" $("$moga" compare "${full/latents-full/latents-$name}" "$full" | sed 's/.*relative error \([^,]*\),.*/\1/')"
  done
  printf '%-18s %10s  %s\n' "$name" "$line" "$errors"
done
