"""Writes tests/model/fixtures/wide.safetensors: outputs of a random WanTransformer3DModel and AutoencoderKLWan of diffusers,
in float64 (stored as float32) and in bfloat16, at widths that the GPU kernels support (heads of 128, 32 channels).

Weights and inputs are not stored. Python and C++ both draw them, name by name in order, from a generator with the same
seed, as uniform numbers, which have the same bits in both (tests/model/wan/wide_test.cpp repeats the rule).

Made with torch==2.11.0 diffusers==0.42.1 safetensors==0.8.0. Run from the repository root:
    python tools/make_fixtures_wide.py
"""
import copy
import math
import pathlib

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import save_file

TRANSFORMER = dict(
    num_attention_heads=2, attention_head_dim=128, in_channels=16, out_channels=16, text_dim=64, freq_dim=256, ffn_dim=512,
    num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads", eps=1e-6, patch_size=[1, 2, 2])
VAE = dict(
    base_dim=32, z_dim=16, dim_mult=[1, 2, 2, 1], num_res_blocks=1, attn_scales=[], temperal_downsample=[False, True, True],
    dropout=0.0, latents_mean=[0.0] * 16, latents_std=[1.0] * 16)


def draw(shape, generator):
    """Uniform in [-1, 1), rounded to bfloat16."""
    return (2 * torch.rand(shape, generator=generator) - 1).bfloat16()


def draw_weights(model, generator):
    """A matrix keeps its input's deviation; a vector is up to 0.3, around 1 where it scales a norm; colours stay small."""
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            inputs = parameter.numel() // parameter.shape[0]
            scales = name.endswith("gamma") or ("norm" in name and name.endswith("weight"))
            bound = 0.3 if inputs == 1 else math.sqrt(3 / inputs)
            if name == "decoder.conv_out.weight":
                bound /= 8  # within the range that diffusers clamps to
            value = draw(parameter.shape, generator).double() * bound + (1.0 if inputs == 1 and scales else 0.0)
            parameter.copy_(value.bfloat16())


def transformer_tensors():
    generator = torch.Generator().manual_seed(1)
    model = WanTransformer3DModel(**TRANSFORMER).eval()
    draw_weights(model, generator)
    latent, text = draw((1, 16, 4, 12, 16), generator), draw((1, 16, 64), generator)
    timestep = torch.tensor([619.0])
    exact = copy.deepcopy(model).double()(latent.double(), timestep.double(), text.double(), return_dict=False)[0]
    for name, parameter in model.named_parameters():  # diffusers' own rule of what stays float32
        if not set(name.split(".")) & set(model._keep_in_fp32_modules):
            parameter.data = parameter.data.bfloat16()
    return {"velocity": exact.float(), "velocity_bfloat16": model(latent, timestep, text, return_dict=False)[0]}


def vae_tensors():
    generator = torch.Generator().manual_seed(2)
    vae = AutoencoderKLWan(**VAE).eval()
    draw_weights(vae, generator)
    clip, latent = draw((1, 3, 5, 32, 32), generator), draw((1, 16, 2, 4, 4), generator)
    exact, narrow = copy.deepcopy(vae).double(), vae.bfloat16()
    decoded = exact.decode(latent.double()).sample
    assert decoded.abs().max() < 1
    return {
        "mean": exact.encode(clip.double()).latent_dist.mean.float(),
        "mean_bfloat16": narrow.encode(clip).latent_dist.mean,
        "decoded": decoded.float(),
        "decoded_bfloat16": narrow.decode(latent).sample,
    }


def main():
    with torch.no_grad():
        tensors = transformer_tensors() | vae_tensors()
    path = pathlib.Path("tests/model/fixtures/wide.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    for name, tensor in tensors.items():
        line = f"{name} {list(tensor.shape)} {tensor.dtype} std {tensor.float().std():.3f}"
        if name.endswith("_bfloat16"):
            exact = tensors[name.removesuffix("_bfloat16")]
            line += f" error {(tensor.float() - exact).norm() / exact.norm():.5f}"
        print(line)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
