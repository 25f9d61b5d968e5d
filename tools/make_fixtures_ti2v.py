"""Writes the fixtures of Wan2.2-TI2V-5B: tiny random models of its kind, and what diffusers computes with them.

    tests/model/fixtures/vae22                        an AutoencoderKLWan whose levels have shortcuts, with 2x2 pixels as
                                                      channels
    tests/model/fixtures/vae22_clip.safetensors       a clip, a latent and diffusers' results: in float64, stored as
                                                      float32, and in bfloat16
    tests/pipeline/fixtures/ti2v                      model_index.json and transformer; the VAE is vae22, the other parts
                                                      are those of fixtures/wan
    tests/pipeline/fixtures/ti2v.safetensors          `latents` (the noise); `text_latents` and `image_latents`: results of
                                                      WanPipeline and, with first.png, of WanImageToVideoPipeline; `frames`
                                                      of the latter in [0, 1]
    tests/model/fixtures/wide_ti2v.safetensors        as wide.safetensors (make_fixtures_wide.py): the velocity of a
                                                      transformer with two given frames, and a VAE

Made with torch==2.11.0 diffusers==0.42.1 transformers==5.24 pillow==12.1.1 sentencepiece ftfy. Run from the repository
root after make_fixtures_pipeline.py and make_fixtures_images.py:

    python tools/make_fixtures_ti2v.py
"""

import copy
import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline, WanTransformer3DModel,
)  # fmt: skip
from make_fixtures_wide import TRANSFORMER, draw, draw_weights
from PIL import Image
from safetensors.torch import save_file
from transformers import T5TokenizerFast, UMT5EncoderModel

ROOT = Path(__file__).resolve().parent.parent / "tests"
PIPELINES = ROOT / "pipeline/fixtures"
MODELS = ROOT / "model/fixtures"
CHANNELS, TEXT_WIDTH = 4, 16
REQUEST = dict(
    prompt="Ada walks on the beach", negative_prompt="night", width=64, height=64, num_frames=5, num_inference_steps=4,
    guidance_scale=4.0,
)  # fmt: skip
# Wan2.2's keys, and its channels divided by 40 and 128.
VAE = dict(
    base_dim=4, decoder_base_dim=2, z_dim=CHANNELS, dim_mult=[1, 2, 4, 4], num_res_blocks=1, attn_scales=[],
    temperal_downsample=[False, True, True], dropout=0.0, is_residual=True, in_channels=12, out_channels=12,
    patch_size=2, scale_factor_temporal=4, scale_factor_spatial=16, latents_mean=[0.1, -0.2, 0.3, -0.4],
    latents_std=[0.5, 1.0, 1.5, 2.0],
)  # fmt: skip


WIDE_VAE = VAE | dict(base_dim=16, decoder_base_dim=32, z_dim=16, latents_mean=[0.0] * 16, latents_std=[1.0] * 16)
GIVEN = [0, 2]  # latent frames of the wide transformer's input that have timestep 0


def random_vae():
    """In bfloat16 values; results stay within the range that diffusers clamps frames to."""
    vae = AutoencoderKLWan(**VAE).eval()
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if name.endswith("gamma"):
                parameter.normal_(1.0, 0.3)
            if name == "decoder.conv_out.weight":
                parameter.mul_(0.15)
            parameter.copy_(parameter.bfloat16())
    return vae


def make_vae():
    torch.manual_seed(22)
    vae = random_vae().double()
    clip = torch.randn(1, 3, 9, 32, 48).clamp(-1, 1).bfloat16()
    latent = torch.randn(1, CHANNELS, 3, 2, 3).bfloat16()
    with torch.no_grad():
        moments = vae.encode(clip.double()).latent_dist
        decoded = vae.decode(latent.double()).sample
        narrow = vae.bfloat16()
        mean_bfloat16 = narrow.encode(clip).latent_dist.mean
        decoded_bfloat16 = narrow.decode(latent).sample
    assert decoded.abs().max() < 1
    folder = MODELS / "vae22"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    weights = {name: tensor.bfloat16().contiguous() for name, tensor in vae.state_dict().items()}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKLWan", **VAE}, indent=2) + "\n")
    tensors = {"clip": clip, "mean": moments.mean.float(), "logvar": moments.logvar.float(), "latent": latent,
               "decoded": decoded.float(), "mean_bfloat16": mean_bfloat16,
               "decoded_bfloat16": decoded_bfloat16}  # fmt: skip
    save_file(tensors, MODELS / "vae22_clip.safetensors")
    print("vae", moments.mean.std().item(), decoded.abs().max().item())


def random_transformer():
    model = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=CHANNELS, out_channels=CHANNELS, text_dim=TEXT_WIDTH,
        freq_dim=16, ffn_dim=32, num_layers=2,
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "norm" in name and name.endswith("weight")
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1.0 if norm else 0.0))
    return model.eval()


def make_pipelines():
    torch.manual_seed(5)
    wan, folder = PIPELINES / "wan", PIPELINES / "ti2v"
    parts = dict(
        tokenizer=T5TokenizerFast.from_pretrained(wan / "tokenizer"),
        text_encoder=UMT5EncoderModel.from_pretrained(wan / "text_encoder", dtype=torch.float32).eval(),
        vae=AutoencoderKLWan.from_pretrained(MODELS / "vae22", torch_dtype=torch.float32).eval(),
        scheduler=UniPCMultistepScheduler.from_pretrained(wan / "scheduler"),
        transformer=random_transformer(), expand_timesteps=True,
    )  # fmt: skip
    text, image = WanPipeline(**parts), WanImageToVideoPipeline(**parts)
    shutil.rmtree(folder, ignore_errors=True)
    text.save_pretrained(folder)
    for part in ("tokenizer", "text_encoder", "scheduler", "vae"):
        shutil.rmtree(folder / part)
    for pipeline in (text, image):
        pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(1, CHANNELS, 2, 4, 4)
    first = Image.open(PIPELINES / "first.png")
    text_latents = text(**REQUEST, latents=noise, output_type="latent").frames
    image_latents = image(**REQUEST, image=first, latents=noise, output_type="latent").frames
    frames = image(**REQUEST, image=first, latents=noise, output_type="pt").frames
    save_file({"latents": noise, "text_latents": text_latents[0].contiguous(),
               "image_latents": image_latents[0].contiguous(), "frames": frames[0].contiguous()},
              PIPELINES / "ti2v.safetensors", metadata={"request": json.dumps(REQUEST)})  # fmt: skip
    print("text", text_latents.std().item(), "image", image_latents.std().item(), "frames", frames.std().item())
    print("first frame given", (image_latents[0, :, 0] - text_latents[0, :, 0]).abs().max().item())


def wide_transformer():
    generator = torch.Generator().manual_seed(1)
    model = WanTransformer3DModel(**TRANSFORMER).eval()
    draw_weights(model, generator)
    latent, text = draw((1, 16, 4, 12, 16), generator), draw((1, 16, 64), generator)
    timestep = torch.full((1, 4, 6 * 8), 619.0)
    timestep[:, GIVEN] = 0
    timestep = timestep.flatten(1)
    exact = copy.deepcopy(model).double()(latent.double(), timestep.double(), text.double(), return_dict=False)[0]
    for name, parameter in model.named_parameters():  # diffusers' own rule of what stays float32
        if not set(name.split(".")) & set(model._keep_in_fp32_modules):
            parameter.data = parameter.data.bfloat16()
    return {"velocity": exact.float(), "velocity_bfloat16": model(latent, timestep, text, return_dict=False)[0]}


def wide_vae():
    generator = torch.Generator().manual_seed(2)
    vae = AutoencoderKLWan(**WIDE_VAE).eval()
    draw_weights(vae, generator)
    clip, latent = draw((1, 3, 5, 64, 32), generator), draw((1, 16, 2, 4, 2), generator)
    exact, narrow = copy.deepcopy(vae).double(), vae.bfloat16()
    decoded = exact.decode(latent.double()).sample
    assert decoded.abs().max() < 1
    return {"mean": exact.encode(clip.double()).latent_dist.mean.float(),
            "mean_bfloat16": narrow.encode(clip).latent_dist.mean, "decoded": decoded.float(),
            "decoded_bfloat16": narrow.decode(latent).sample}  # fmt: skip


def make_wide():
    with torch.no_grad():
        tensors = wide_transformer() | wide_vae()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, MODELS / "wide_ti2v.safetensors")
    for name, tensor in tensors.items():
        print(name, list(tensor.shape), tensor.dtype, "std", tensor.float().std().item())


if __name__ == "__main__":
    make_vae()
    make_pipelines()
    make_wide()
