"""Writes the fixtures of models beyond text to video with one transformer: tiny random pipelines of diffusers, and what
diffusers computes with them in float32 for one prompt (and one or two images).

    tests/pipeline/fixtures/t2v_a14b, i2v, flf2v, i2v_a14b   model_index.json and the parts that fixtures/wan has not;
                                                             text encoder, tokenizer, VAE and scheduler are its own
    tests/pipeline/fixtures/NAME.safetensors                 `latents` (the noise), `final_latents`, `frames` in [0, 1]
    tests/pipeline/fixtures/first.png, last.png              the images
    tests/model/fixtures/i2v.safetensors, flf2v.safetensors  a transformer, one input and its velocity
    tests/model/fixtures/images                              images as Pillow resizes them and as CLIP is given them

Made with torch==2.11.0 diffusers==0.42.1 transformers==5.23 pillow==12.1.1 sentencepiece ftfy, without torchvision. Run from
the repository root after make_fixtures_pipeline.py:

    python tools/make_fixtures_images.py
"""

import json
import shutil
from pathlib import Path

import numpy
import torch
from diffusers import (
    AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline, WanPipeline, WanTransformer3DModel,
)  # fmt: skip
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, T5TokenizerFast, UMT5EncoderModel

ROOT = Path(__file__).resolve().parent.parent / "tests"
PIPELINES = ROOT / "pipeline/fixtures"
MODELS = ROOT / "model/fixtures"
CHANNELS, STRIDE, TEXT_WIDTH, IMAGE_WIDTH, IMAGE_TOKENS = 4, 4, 16, 16, 5
REQUEST = dict(
    prompt="Ada walks on the beach", negative_prompt="night", width=48, height=32, num_frames=9, num_inference_steps=4,
    guidance_scale=4.0,
)  # fmt: skip
# Parts of each pipeline: whether it has images, a last image, the image encoder, two experts.
VARIANTS = {
    "t2v_a14b": dict(experts=True, boundary_ratio=0.875, guidance_scale_2=3.0),
    "i2v": dict(images=True, encoder=True),
    "flf2v": dict(images=True, encoder=True, last=True),
    "i2v_a14b": dict(images=True, experts=True, boundary_ratio=0.8),
}


def transformer_config(images=False, encoder=False, last=False, **_):
    config = dict(
        num_attention_heads=2, attention_head_dim=12, in_channels=CHANNELS, out_channels=CHANNELS, text_dim=TEXT_WIDTH,
        freq_dim=16, ffn_dim=32, num_layers=2,
    )  # fmt: skip
    if images:
        config |= dict(in_channels=2 * CHANNELS + STRIDE)
    if encoder:
        config |= dict(image_dim=IMAGE_WIDTH, added_kv_proj_dim=24)
    if last:
        config |= dict(pos_embed_seq_len=2 * IMAGE_TOKENS)
    return config


def randomise(model, deviation):
    """Away from the initial values, so that no norm, no bias and no position is trivially right."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "norm" in name and name.endswith("weight")
            parameter.copy_(torch.randn_like(parameter) * deviation + (1.0 if norm else 0.0))
    return model.eval()


def picture(height, width, seed):
    """Smooth colours with edges and noise, so that filters and rounding matter."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [numpy.sin(x / (3 + i)) * numpy.cos(y / (4 + 2 * i)) * 90 + 128 for i in range(3)]
    image = numpy.stack(waves, -1) + random.normal(0, 12, (height, width, 3))
    image[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 90)
    return Image.fromarray(image.clip(0, 255).astype(numpy.uint8))


def image_parts():
    encoder = CLIPVisionModel(CLIPVisionConfig(
        hidden_size=IMAGE_WIDTH, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=28,
        patch_size=14, hidden_act="gelu"))  # fmt: skip
    processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    return dict(image_encoder=randomise(encoder, 0.2), image_processor=processor)


def pipeline_of(variant):
    wan = PIPELINES / "wan"
    parts = dict(
        tokenizer=T5TokenizerFast.from_pretrained(wan / "tokenizer"),
        text_encoder=UMT5EncoderModel.from_pretrained(wan / "text_encoder", dtype=torch.float32).eval(),
        vae=AutoencoderKLWan.from_pretrained(wan / "vae", torch_dtype=torch.float32).eval(),
        scheduler=UniPCMultistepScheduler.from_pretrained(wan / "scheduler"),
        transformer=randomise(WanTransformer3DModel(**transformer_config(**variant)), 0.2),
    )  # fmt: skip
    if variant.get("experts"):
        parts |= dict(transformer_2=randomise(WanTransformer3DModel(**transformer_config(**variant)), 0.2),
                      boundary_ratio=variant["boundary_ratio"])  # fmt: skip
    if variant.get("encoder"):
        parts |= image_parts()
    return (WanImageToVideoPipeline if variant.get("images") else WanPipeline)(**parts)


def save_parts(pipeline, folder):
    """model_index.json and the parts that fixtures/wan has not."""
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_pretrained(folder)
    for part in ("tokenizer", "text_encoder", "vae", "scheduler"):
        shutil.rmtree(folder / part)


def make_pipeline(name, variant, first, last):
    torch.manual_seed(sum(map(ord, name)))
    pipeline = pipeline_of(variant)
    pipeline.set_progress_bar_config(disable=True)
    save_parts(pipeline, PIPELINES / name)
    noise = torch.randn(1, CHANNELS, 3, 4, 6)
    request = REQUEST | {key: variant[key] for key in ("guidance_scale_2",) if key in variant}
    given = request | dict(latents=noise)
    if variant.get("images"):
        given |= dict(image=first)
    if variant.get("last"):
        given |= dict(last_image=last)
    latents = pipeline(**given, output_type="latent").frames
    frames = pipeline(**given, output_type="pt").frames
    save_file({"latents": noise, "final_latents": latents[0].contiguous(), "frames": frames[0].contiguous()},
              PIPELINES / f"{name}.safetensors", metadata={"request": json.dumps(request)})  # fmt: skip
    print(name, "latents", latents.std().item(), "frames", frames.std().item())


def make_transformer(name):
    torch.manual_seed(20261130)
    config = transformer_config(**VARIANTS[name])
    model = randomise(WanTransformer3DModel(**config), 0.15)
    latent, condition = torch.randn(2, CHANNELS, 3, 6, 8), torch.randn(2, CHANNELS + STRIDE, 3, 6, 8)
    text = torch.randn(2, 512, TEXT_WIDTH)  # as many rows as diffusers' attention takes for granted
    text[:, 5:] = 0
    images = 2 if "pos_embed_seq_len" in config else 1
    image = torch.randn(2 * images, IMAGE_TOKENS, IMAGE_WIDTH)
    timestep = torch.tensor([37.25, 903.5])
    with torch.no_grad():
        velocity = model(torch.cat([latent, condition], 1), timestep, text, image, return_dict=False)[0]
    tensors = {f"weights.{key}": value.clone() for key, value in model.state_dict().items()}
    tensors |= {"latent": latent, "condition": condition, "text": text[:, :5].contiguous(), "image": image,
                "timestep": timestep, "velocity": velocity}  # fmt: skip
    save_file(tensors, MODELS / f"{name}.safetensors", metadata={"config": json.dumps(config)})


def make_images(first):
    """Pillow's and transformers' own results."""
    as_tensor = lambda image: torch.from_numpy(numpy.array(image)).permute(2, 0, 1).contiguous()  # noqa: E731
    tensors = {"image": as_tensor(first)}
    for filter_name, code in (("lanczos", Image.LANCZOS), ("bicubic", Image.BICUBIC)):
        for height, width in ((32, 48), (100, 61), (7, 90)):
            tensors[f"{filter_name}.{height}x{width}"] = as_tensor(first.resize((width, height), code))
    torch.manual_seed(3)
    parts = image_parts()
    pixels = parts["image_processor"](images=first, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        hidden = parts["image_encoder"](pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    tensors |= {"pixels": pixels, "embeddings": hidden}
    folder = MODELS / "images"
    shutil.rmtree(folder, ignore_errors=True)
    parts["image_encoder"].save_pretrained(folder / "image_encoder")
    parts["image_processor"].save_pretrained(folder / "image_processor")
    save_file(tensors, folder / "images.safetensors")


def main():
    first, last = picture(50, 70, 1), picture(44, 60, 2)
    first.save(PIPELINES / "first.png")
    last.save(PIPELINES / "last.png")
    for name, variant in VARIANTS.items():
        make_pipeline(name, variant, first, last)
    for name in ("i2v", "flf2v"):
        make_transformer(name)
    make_images(first)


if __name__ == "__main__":
    main()
