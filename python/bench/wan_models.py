"""Time and memory of one evaluation of Wan's larger models, and of Wan2.2-TI2V-5B's VAE, in diffusers on a GPU, next to
which `moga bench model` and `moga bench vae` are measured. Random weights, bfloat16.

python bench/wan_models.py I2V-A14B TI2V-5B TI2V-5B-VAE
"""

import argparse

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from timing import milliseconds

# In and out channels, heads, feed-forward width, layers; latent frames, height, width of the measured video.
MODELS = {
    "1.3B": ((16, 16, 12, 8960, 30), (21, 60, 104)),
    "I2V-A14B": ((36, 16, 40, 13824, 40), (21, 60, 104)),
    "TI2V-5B": ((48, 48, 24, 14336, 30), (31, 44, 80)),
}


def measure(name, work, device, repeats):
    work()
    seconds = peak = 0
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        seconds = milliseconds(work, repeats, warmups=0) / 1e3
        peak = torch.cuda.max_memory_allocated() / 2**30
    print(f"{name:28} {seconds:8.3f} s {peak:7.1f} GiB", flush=True)


def transformer(name, device, small, repeats):
    (channels, out, heads, ffn, layers), (frames, height, width) = MODELS[name]
    if small:
        heads, ffn, layers, frames, height, width = 2, 64, 1, 2, 4, 6
    with torch.device(device):
        model = WanTransformer3DModel(
            in_channels=channels, out_channels=out, num_attention_heads=heads, ffn_dim=ffn, num_layers=layers
        )
        latents = torch.randn(1, channels, frames, height, width)
        text = torch.randn(1, 512, 4096)
        tokens = frames * height * width // 4
        timestep = torch.full((1, tokens), 500.0) if name == "TI2V-5B" else torch.tensor([500.0])
    measure(name, lambda: model(latents, timestep, text, return_dict=False), device, repeats)


def vae(device, small, repeats):
    frames, height, width = (5, 32, 32) if small else (121, 704, 1280)
    with torch.device(device):
        model = AutoencoderKLWan(
            base_dim=8 if small else 160,
            decoder_base_dim=8 if small else 256,
            z_dim=48,
            is_residual=True,
            in_channels=12,
            out_channels=12,
            patch_size=2,
            scale_factor_temporal=4,
            scale_factor_spatial=16,
            latents_mean=[0.0] * 48,
            latents_std=[1.0] * 48,
        )
        clip = torch.rand(1, 3, frames, height, width) * 2 - 1
    latents = model.encode(clip).latent_dist.mode()
    measure("TI2V-5B's VAE, encode", lambda: model.encode(clip), device, repeats)
    measure("TI2V-5B's VAE, decode", lambda: model.decode(latents), device, repeats)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("what", nargs="+", choices=[*MODELS, "TI2V-5B-VAE"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="tiny models, to see that it runs")
    options = parser.parse_args()
    torch.set_default_dtype(torch.bfloat16)
    if options.device == "cuda":
        print(torch.cuda.get_device_name())
    for what in options.what:
        if what == "TI2V-5B-VAE":
            vae(options.device, options.small, options.repeats)
        else:
            transformer(what, options.device, options.small, options.repeats)
        if options.device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
