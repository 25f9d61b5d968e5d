#!/usr/bin/env bash
# Makes models/demo and its table: VAE (unless models/demo/vae is there), tokenizer, text encoder, latent shards, MoGA and
# its three ablations trained alike, the demo model, the evaluation of all five on held-out stories. A stage whose result is
# there is skipped, so a run that was cut short goes on. Meant for one GPU of 80 GB (the four trainings run side by side).
#   MOGA=build/cuda/bin/moga tools/make_demo_model.sh
set -euo pipefail
cd "$(dirname "$0")/.."
moga=${MOGA:-build/cuda/bin/moga}
begin=$(date +%s)
say() { echo "[$(($(date +%s) - begin)) s] $*"; }

# Drawing stories allocates and frees large buffers on many threads; kept by malloc, they cost no page faults.
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=67108864
mkdir -p runs data

# stage RESULT COMMAND…: runs the command unless RESULT exists; its output goes to runs/<name>.log.
stage() {
  local result=$1; shift
  [ -e "$result" ] && return
  say "$*"
  "$@" > "runs/$(echo "$result" | tr / -).log" 2>&1 || { say "FAILED: $*"; tail -3 "runs/$(echo "$result" | tr / -).log"; return 1; }
}

# NAME KEY=VALUE…: one of the four. Its first stages need the short stories only; the long ones are drawn meanwhile.
train() {
  local name=$1; shift
  [ -e "runs/$name/model" ] && return
  local command=("$moga" train configs/stories.toml --set "out=runs/$name")
  for setting in "$@"; do command+=(--set "$setting"); done
  say "${command[*]}"
  "${command[@]}" --resume auto > "runs/$name.log" 2>&1 && return
  until [ -e runs/long.done ]; do sleep 1; done
  stage "runs/$name/model" "${command[@]}" --resume auto
}

evaluate() { OMP_NUM_THREADS=4 stage "runs/evaluation/$1" "$moga" evaluate stories --model "runs/$1/model" --stories 64 --batch 16 --out "runs/evaluation/$1"; }

if [ -d models/demo/vae ] && [ ! -e runs/vae/model ]; then  # without it the VAE is trained anew, which changes all latents
  mkdir -p runs/vae
  cp -r models/demo/vae runs/vae/model
fi
stage runs/vae/model "$moga" train vae configs/demo_vae.toml
stage data/spiece.model "$moga" prepare tokenizer --count 4000 --vocab 1000 --out data/spiece.model
stage runs/text/model "$moga" train text configs/demo_text.toml
stage data/held_out "$moga" prepare stories configs/stories_long.toml --count 64 --first-seed 900000 --out data/held_out
stage data/short "$moga" prepare stories configs/stories_short.toml
{ stage data/long "$moga" prepare stories configs/stories_long.toml && touch runs/long.done; } &

export OMP_NUM_THREADS=4
train stories &
train full transformer.moga.kind=full &
train static transformer.moga.routed=false &
train routed transformer.moga.window=false transformer.moga.frame=false &
wait
{ for name in stories full static routed; do evaluate "$name"; done; } &
stage runs/demo/model "$moga" train configs/demo.toml
wait
evaluate demo

for name in demo stories full static routed; do
  say "$name"
  tail -7 "runs/runs-evaluation-$name.log"
done
say "the model is runs/demo/model; what is kept goes to models/demo"
