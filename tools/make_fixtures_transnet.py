#!/usr/bin/env python3
"""Writes tests/data/cuts/fixtures/transnet: a small TransNetV2 with random weights, and what transnetv2-pytorch predicts with it.

Needs torch, safetensors and transnetv2-pytorch. The frames are a formula, which the test repeats.

    python tools/make_fixtures_transnet.py [folder]
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transnetv2_pytorch import TransNetV2

FRAMES = 130  # three windows, the last of them padded


def frames():
    """uint8 [T, 27, 48, 3]: stripes that move, of another slope every 23 frames."""
    t, y, x, c = torch.meshgrid(torch.arange(FRAMES), torch.arange(27), torch.arange(48), torch.arange(3), indexing="ij")
    return ((3 * t + y * (3 + 2 * (t // 23)) * (c + 1) + 5 * x + 97 * (t // 23)) % 256).to(torch.uint8)


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "tests/data/cuts/fixtures/transnet"
    folder.mkdir(parents=True, exist_ok=True)
    TransNetV2._load_pretrained_weights = lambda self: None
    model = TransNetV2(F=2, D=16, device="cpu")
    torch.manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif name.endswith("num_batches_tracked"):
                continue
            elif name.endswith("bn.weight"):
                tensor.normal_(1, 0.3)
            elif tensor.dim() > 1:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
            else:
                tensor.normal_(0, 0.3)
            tensor.copy_(tensor.bfloat16())
        single, within = model.predict_frames(frames(), quiet=True)
    print("predictions from", single.min().item(), "to", single.max().item())
    weights = {name: tensor.bfloat16().contiguous() for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file(weights, folder / "weights.safetensors")
    save_file({"predictions": single.float().contiguous(), "within": within.float().contiguous()}, folder / "expected.safetensors")


main()
