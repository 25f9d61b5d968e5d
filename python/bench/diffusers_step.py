"""Time of one evaluation of Wan2.1-1.3B in diffusers on a GPU, with its own attention and with MoGA. Random weights.

python bench/diffusers_step.py --frames 81 --height 480 --width 832
"""

import argparse

import torch
from diffusers import WanTransformer3DModel
from visual_attention import milliseconds

import moga
import moga.diffusers


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (
        ("frames", 81),
        ("height", 480),
        ("width", 832),
        ("groups", 5),
        ("layers", 30),
        ("repeats", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with torch.device("cuda"):
        model = WanTransformer3DModel(num_attention_heads=12, ffn_dim=8960, num_layers=options.layers).bfloat16()
    latents = torch.randn(1, 16, (options.frames - 1) // 4 + 1, options.height // 8, options.width // 8, device="cuda")
    text = torch.randn(1, 512, 4096, device="cuda", dtype=torch.bfloat16)
    timestep = torch.tensor([500.0], device="cuda")

    @torch.no_grad()
    def step():
        model(latents.bfloat16(), timestep, text, return_dict=False)

    print(f"{torch.cuda.get_device_name()}, {options.frames} frames of {options.width}x{options.height}")
    print(f"diffusers  {milliseconds(step, options.repeats):10.1f} ms")
    moga.diffusers.apply(model, moga.Config(groups=options.groups))
    print(f"with MoGA  {milliseconds(step, options.repeats):10.1f} ms")


if __name__ == "__main__":
    main()
