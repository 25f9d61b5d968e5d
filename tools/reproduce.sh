#!/usr/bin/env bash
# Repeats the claims of the paper and of the README on one GPU, in about an hour on an H200. Tables (.md) and figures (.svg)
# go to OUT (out/evidence), trained models to OUT/runs. What exists is not computed again, so an interrupted run continues.
#   tools/reproduce.sh                       all parts
#   tools/reproduce.sh colours balance       some of them
#
#   colours   a person's colours in shots that do not name them: MoGA, full, static only, routed only; three seeds
#   groups    M = 1, 2, 4, 5, 8, 16: accuracy, sparsity, FLOP, time (the paper's Table 4)
#   balance   training with the balance loss, with eq. 8 as printed, and without (Figure 12)
#   windows   what windows, frames, keys beyond cuts and runs carry (Figure 11); trained on 4 shots, run on 8
#   router    overlap of groups with the stories' masks by layer and timestep: trained, calibrated, random; mean and lse
#   time      time and FLOP of full attention and MoGA from 8k to 563k tokens, with the break-even point
#
# MOGA: the program. SEEDS: seeds of trainings ("2 3 4"). STEPS: train steps of colours (2300) and SHORT of the other parts
# (600). STORIES: held-out stories of an evaluation (64). SMALL=1: everything so small that a CPU does it in minutes, from
# models/demo; it shows that the parts run, and its numbers mean nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
moga=${MOGA:-build/cuda/bin/moga}
[ -x "$moga" ] || moga=build/cpu/bin/moga
small=${SMALL:-}
out=${OUT:-out/evidence${small:+-small}}
seeds=${SEEDS:-${small:+2 3}}
seeds=${seeds:-2 3 4}
steps=${STEPS:-${small:+2}}
steps=${steps:-2300}
short=${SHORT:-${small:+2}}
short=${short:-600}
stories=${STORIES:-${small:+1}}
stories=${stories:-64}
parts=(colours groups balance windows router time)
logs=$out/logs
. tools/stages.sh
report() { python3 tools/evidence.py "$out" "$1" && say "$1: $out/$1.md"; }

# What trainings start from and train on: `base` without MoGA, `calibrated` with routers computed for it.
prepare() {
  if [ -z "$small" ]; then
    UNTIL=routers MOGA=$moga tools/make_demo_model.sh
    base=runs/base/model calibrated=runs/calibrated
    inputs=()
    film=()
    return
  fi
  base=$out/runs/base/model calibrated=$out/runs/calibrated
  stage "$out/data" "$moga" prepare stories configs/stories_long.toml --vae models/demo/vae --count 6 \
    --set batch=2 --set story.frames=33 --set story.width=112 --set story.height=64 --out "$out/data"
  stage "$calibrated" "$moga" calibrate --model models/demo --size 112x64 --frames 33 --steps 2 --observed-steps 1 \
    --tokens 512 --out "$calibrated"
  inputs=(--set "stage.0.data=$out/data" --set stage.0.batch=2 --set stage.0.schedule.warmup_steps=1 --set log_every=1
    --set tokenizer=models/demo/tokenizer/spiece.model --set vae=models/demo/vae)
  film=(--frames 33 --width 112 --height 64 --steps 2)
  train base 2 2 models/demo transformer.moga.kind=full  # a model without routers
}

# train NAME STEPS SEED START KEY=VALUE…: the model OUT/runs/NAME/model; keys are those of configs/stories.toml.
train() {
  local name=$1 count=$2 seed=$3 start=$4
  shift 4
  local settings=()
  for setting in "$@"; do settings+=(--set "$setting"); done
  stage "$out/runs/$name/model" "$moga" train configs/stories.toml --resume auto "${inputs[@]}" --set "init=$start" \
    --set "out=$out/runs/$name" --set "seed=$seed" --set "stage.0.steps=$count" "${settings[@]}"
}

# evaluate NAME MODEL OPTION…: OUT/evaluations/NAME/evaluation.json.
evaluate() {
  local name=$1 model=$2
  shift 2
  stage "$out/evaluations/$name" "$moga" evaluate stories --model "$model" --stories "$stories" --batch 16 "${film[@]}" \
    --out "$out/evaluations/$name" "$@"
}

colours() {
  for seed in $seeds; do
    train "moga-$seed" "$steps" "$seed" "$calibrated"
    train "full-$seed" "$steps" "$seed" "$calibrated" transformer.moga.kind=full
    train "static-$seed" "$steps" "$seed" "$calibrated" transformer.moga.routed=false
    train "routed-$seed" "$steps" "$seed" "$calibrated" transformer.moga.window=false transformer.moga.frame=false
    for kind in moga full static routed; do evaluate "$kind-$seed" "$out/runs/$kind-$seed/model"; done
  done
}

groups() {
  local size=(--size 224x128 --frames 129)
  for m in 1 2 4 5 8 16; do
    train "groups-$m" "$short" 2 "$base" transformer.moga.kind=moga "transformer.moga.groups=$m" \
      transformer.moga.windows.run_frames=4
    evaluate "groups-$m" "$out/runs/groups-$m/model"
    stage "$out/groups/flops-$m.json" "$moga" flops --model models/demo "${size[@]}" --shots 4 --groups "$m" \
      --json "$out/groups/flops-$m.json"
    stage "$out/groups/paper-$m.json" "$moga" flops --model 1.3B --frames 477 --shots 9 --groups "$m" \
      --json "$out/groups/paper-$m.json"
    if [ -n "$small" ]; then
      stage "$out/groups/time-$m.json" "$moga" bench block --frames 4 --rows 4 --columns 6 --groups "$m" --repeats 1 \
        --warm-up 0 --seconds 0.1 --no-full --json "$out/groups/time-$m.json"
    else
      stage "$out/groups/time-$m.json" "$moga" bench block --tokens 187200 --groups "$m" --repeats 5 --no-full \
        --json "$out/groups/time-$m.json"
    fi
  done
}

balance() {  # from new routers, which are not even
  for seed in $seeds; do
    local common=(transformer.moga.kind=moga transformer.moga.groups=5 transformer.moga.windows.run_frames=4)
    if [ -z "$small" ]; then common+=(log_every=10); fi
    train "balance-switch-$seed" "$short" "$seed" "$base" "${common[@]}"
    train "balance-paper-$seed" "$short" "$seed" "$base" "${common[@]}" transformer.moga.balance=paper
    train "balance-none-$seed" "$short" "$seed" "$base" "${common[@]}" transformer.moga.balance_weight=0
  done
  local runs=()
  for form in switch paper none; do runs+=("$out/runs/balance-$form-${seeds%% *}"); done
  stage "$out/balance/plot" "$moga" plot "${runs[@]}" --out "$out/balance/plot"
}

windows() {  # from new routers: a model with routers keeps the windows that it was trained with
  local common=(transformer.moga.kind=moga transformer.moga.groups=5) four=transformer.moga.windows.run_frames=4
  train windows-all "$short" 2 "$base" "${common[@]}" "$four"
  train windows-none "$short" 2 "$base" "${common[@]}" "$four" transformer.moga.window=false
  train windows-no-frames "$short" 2 "$base" "${common[@]}" "$four" transformer.moga.frame=false
  train windows-no-boundary "$short" 2 "$base" "${common[@]}" "$four" transformer.moga.windows.boundary_frames=0
  train windows-runs-2 "$short" 2 "$base" "${common[@]}" transformer.moga.windows.run_frames=2
  train windows-runs-8 "$short" 2 "$base" "${common[@]}" transformer.moga.windows.run_frames=8
  for name in all none no-frames no-boundary runs-2 runs-8; do evaluate "windows-$name" "$out/runs/windows-$name/model"; done
  local longer=(--shots 8 --frames 257) film=(${film[@]+"${film[@]}"})
  if [ -n "$small" ]; then longer=(--shots 8 --frames 65) film=(--width 112 --height 64 --steps 2); fi
  evaluate windows-eight-shots models/demo "${longer[@]}"
}

router() {
  local size=() times=900,700,500,300,100
  [ -n "$small" ] && size=(--frames 33 --size 112x64) times=600
  stage "$out/router/trained" "$moga" inspect --story 7 --model models/demo --timesteps "$times" "${size[@]}" \
    --out "$out/router/trained"
  stage "$out/router/calibrated" "$moga" inspect --story 7 --model "$calibrated" --timesteps "$times" "${size[@]}" \
    --out "$out/router/calibrated"
  for combine in mean lse; do  # without any training
    evaluate "router-calibrated-$combine" "$calibrated" --set "transformer.moga.combine=$combine"
  done
}

time_and_flop() {
  local columns=52 rows=30 frames=(5 10 20 40 80 120 240 361) options=(--repeats 3 --warm-up 1) model=1.3B
  [ -n "$small" ] && columns=6 rows=4 frames=(2 4 8) options=(--repeats 1 --warm-up 0 --seconds 0.1) model=models/demo
  for count in "${frames[@]}"; do
    stage "$out/time/block-$count.json" "$moga" bench block --model "$model" --frames "$count" --rows "$rows" \
      --columns "$columns" --shots 1 "${options[@]}" --json "$out/time/block-$count.json"
  done
}

if [ $# -gt 0 ]; then parts=("$@"); fi
for part in "${parts[@]}"; do
  case $part in
    colours | groups | balance | windows | router | time) ;;
    *) echo "reproduce.sh: '$part' is not one of colours, groups, balance, windows, router, time" >&2; exit 1 ;;
  esac
done
mkdir -p "$out"
[ "${parts[*]}" = time ] || prepare
for part in "${parts[@]}"; do
  if [ "$part" = time ]; then time_and_flop; else "$part"; fi
  report "$part"
done
