#!/usr/bin/env bash
# Repeats tables of docs/measured.md, docs/adapters.md and docs/training.md on one Hopper GPU. Each part also measures its baseline.
#
#   tools/measure.sh                     all parts, about 15 minutes on an H200
#   tools/measure.sh products minute     some of them
#
#   products   the matrix products of a block in bfloat16 and in 8 bits
#   block      a block, full attention and MoGA; a train step at 187,200 tokens
#   models     I2V-A14B and TI2V-5B: diffusers, full attention, MoGA, 8 bits; both VAEs
#   minute     1,441 frames in four steps without guidance, in bfloat16 and in 8 bits
#   eight_bits errors of the demo model's latents in bfloat16 and in 8 bits
#   lora       a train step of 14B with LoRA and routers at 187,200 tokens
#   python     a diffusers step with and without MoGA, the error in bfloat16, tests on the GPU
#
# MOGA: the program. PYTHON: a Python with torch, diffusers, transformers and the package moga (parts models, minute, python).
# OUT: the folder of logs and JSON (out/measured). WORK: a folder with 20 GB for models with random weights (OUT/work).
set -euo pipefail
cd "$(dirname "$0")/.."
moga=${MOGA:-build/cuda/bin/moga}
python=${PYTHON:-python3}
out=${OUT:-out/measured}
work=${WORK:-$out/work}
mkdir -p "$out" "$work"
begin=$(date +%s)

# run NAME COMMAND…: its output goes to OUT/NAME.log, the last lines are shown. A failure does not end the others.
run() {
  local name=$1
  shift
  echo "== [$(($(date +%s) - begin)) s] $name: $*"
  "$@" > "$out/$name.log" 2>&1 || echo "FAILED with status $?"
  tail -8 "$out/$name.log"
}

bench() { run "$1" "$moga" bench "${@:2}" --json "$out/$1.json"; }

products() {
  bench products-14B products --model 14B --frames 21 --shots 1
  bench products-1.3B products --model 1.3B --tokens 187200
}

block() {
  bench block block --tokens 187200 --groups 5
  bench train train --tokens 187200 --recompute selective --warm-up 1 --repeats 1
}

models() {
  run diffusers "$python" python/bench/wan_models.py I2V-A14B TI2V-5B TI2V-5B-VAE --repeats 2
  bench I2V-A14B model --model I2V-A14B --frames 21 --shots 1 --full --fp8 --warm-up 1 --repeats 2
  bench TI2V-5B model --model TI2V-5B --frames 31 --rows 22 --columns 40 --shots 1 --full --fp8 --warm-up 1 --repeats 2
  bench vae vae
  bench vae-5B vae --model TI2V-5B --frames 121 --size 1280x704 --warm-up 1 --repeats 2
}

script_of_a_minute() {
  printf 'title = "A minute"\nsize = [832, 480]\nfps = 24\nseed = 7\n'
  for shot in $(seq 12); do
    printf '[[shot]]\ncaption = "Shot %d: Mara, in a red sun hat, walks along the shore of a lake while clouds pass over the hills."\nframes = %d\n' \
      "$shot" $((shot == 1 ? 121 : 120))
  done
}

minute() {
  local few=(--solver euler --steps 4 --guidance 1 --shift 5) groups=(--set transformer.moga.kind=moga
    --set transformer.moga.groups=20 --set transformer.moga.windows.rows=4 --set transformer.moga.windows.columns=4)
  script_of_a_minute > "$work/minute.toml"
  [ -e "$work/wan/model_index.json" ] || run random_wan "$python" python/bench/random_wan.py "$work/wan"
  [ -e "$work/wan-moga" ] || run calibrate "$moga" calibrate --model "$work/wan" --out "$work/wan-moga" --frames 33 --steps 2 \
    --observed-steps 1 --tokens 8192 --routers tokens "${groups[@]}"
  [ -e "$work/wan-8bit" ] || run export "$moga" export "$work/wan-moga" --out "$work/wan-8bit" --layout wan --dtype fp8_scaled
  run minute "$moga" generate "$work/minute.toml" --model "$work/wan-moga" --out "$work/minute.y4m" "${few[@]}"
  run minute-8bit "$moga" generate "$work/minute.toml" --model "$work/wan-8bit" --out "$work/minute8.y4m" "${few[@]}" --fp8 multiply
}

eight_bits() {
  film() { run "demo-$1" "$moga" generate examples/mara_by_the_lake.toml --quiet --out "$work/$1.y4m" --save-latents "$work/$1.safetensors" "${@:2}"; }
  [ -e "$work/demo-8bit" ] || run export-demo "$moga" export models/demo --out "$work/demo-8bit" --layout wan --dtype fp8_scaled
  film float32 --model models/demo --dtype float32
  film bfloat16 --model models/demo --dtype bfloat16
  film dequantised --model "$work/demo-8bit" --dtype bfloat16
  film multiplied --model "$work/demo-8bit" --dtype bfloat16 --fp8 multiply
  for way in bfloat16 dequantised multiplied; do
    run "error-$way" "$moga" compare "$work/$way.safetensors" "$work/float32.safetensors" --tolerance 1
  done
}

lora() { bench lora-14B train --model 14B --tokens 187200 --lora-rank 32 --recompute full+host --warm-up 0 --repeats 1; }

python_package() {
  run diffusers-step "$python" python/bench/diffusers_step.py --frames 81 477 --height 480 --width 832 --repeats 1
  run python-tests "$python" -m pytest -q -c python/pyproject.toml --rootdir python python/tests -k cuda
}

[ $# -gt 0 ] || set -- products block models minute eight_bits lora python
for part in "$@"; do
  case $part in
    products | block | models | minute | eight_bits | lora) ;;
    python) part=python_package ;;
    *) echo "measure.sh: '$part' is not one of products, block, models, minute, eight_bits, lora, python" >&2; exit 1 ;;
  esac
  "$part"
done
