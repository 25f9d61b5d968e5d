#!/usr/bin/env python3
"""Converts weights that are published as pickles only (pytorch_model.bin, .pth) into safetensors, for `moga evaluate films`. Loads weights alone: nothing in the file is run.

    pip install torch safetensors
    python tools/convert_film_models.py models/evaluation/dino-vitb16
        pytorch_model.bin in this folder becomes model.safetensors
    python tools/convert_film_models.py sa_0_4_vit_l_14_linear.pth models/evaluation/sa_0_4_vit_l_14_linear.safetensors
"""
import argparse
import pathlib

import torch
from safetensors.torch import save_file

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("weights", type=pathlib.Path, help="a folder with pytorch_model.bin, or a file")
parser.add_argument("out", type=pathlib.Path, nargs="?", help="the safetensors to write (default: in the folder)")
arguments = parser.parse_args()
folder = arguments.weights.is_dir()
source = arguments.weights / "pytorch_model.bin" if folder else arguments.weights
if not source.is_file():
    raise SystemExit(f"{source}: no such file")
if not folder and arguments.out is None:
    raise SystemExit("give the safetensors to write")
out = arguments.out or arguments.weights / "model.safetensors"
state = torch.load(source, map_location="cpu", weights_only=True)
tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
save_file(tensors, out, metadata={"format": "pt"})
print(f"{out}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values()):,} values")
