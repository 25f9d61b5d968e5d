#!/usr/bin/env python3
"""Writes tests/model/fixtures/vae: a tiny random AutoencoderKLWan of diffusers, a clip, and diffusers' results for it.

Needs torch, diffusers and safetensors. Weights and clip are rounded to bfloat16 and stored as such (small, and exact when
read as float32). The results are computed in float64 and stored as float32, and computed again in bfloat16.

    python tools/make_fixtures_vae.py [folder]
"""
import json
import pathlib
import sys

import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file

CONFIG = dict(
    base_dim=4,
    z_dim=4,
    dim_mult=[1, 2, 3, 1],
    num_res_blocks=1,
    attn_scales=[],
    temperal_downsample=[False, True, True],
    dropout=0.0,
    latents_mean=[0.1, -0.2, 0.3, -0.4],
    latents_std=[0.5, 1.0, 1.5, 2.0],
)


def main() -> None:
    here = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "tests/model/fixtures/vae"
    folder.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(0)
    vae = AutoencoderKLWan(**CONFIG).eval()
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if name.endswith("gamma"):
                parameter.normal_(1.0, 0.3)
            if name == "decoder.conv_out.weight":
                parameter.mul_(0.25)  # results within the range that diffusers clamps to
            parameter.copy_(parameter.bfloat16())
    vae = vae.double()

    clip = torch.randn(1, 3, 9, 16, 24).clamp(-1, 1).bfloat16()
    latent = torch.randn(1, 4, 3, 2, 3).bfloat16()
    with torch.no_grad():
        moments = vae.encode(clip.double()).latent_dist
        decoded = vae.decode(latent.double()).sample
        narrow = vae.bfloat16()
        mean_bfloat16 = narrow.encode(clip).latent_dist.mean
        decoded_bfloat16 = narrow.decode(latent).sample
    assert decoded.abs().max() < 1

    weights = {name: tensor.bfloat16().contiguous() for name, tensor in vae.state_dict().items()}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKLWan", **CONFIG}, indent=2) + "\n")
    save_file(
        {
            "clip": clip,
            "mean": moments.mean.float(),
            "logvar": moments.logvar.float(),
            "latent": latent,
            "decoded": decoded.float(),
            "mean_bfloat16": mean_bfloat16,
            "decoded_bfloat16": decoded_bfloat16,
        },
        folder.parent / "vae_clip.safetensors",
    )


if __name__ == "__main__":
    main()
