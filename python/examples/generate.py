"""Generates the video of a shot script with diffusers and MoGA, from a model folder that `moga calibrate` wrote.

    python examples/generate.py film.toml --model models/wan-moga --out film.mp4
    python examples/generate.py film.toml --model wan-moga --noise noise.safetensors --save-latents own.safetensors

The second line makes it comparable with `moga generate` of the same script, noise and options: `moga compare` says how
far the latents are apart.
"""

import argparse
import pathlib

import tomllib
import torch
from diffusers import WanPipeline
from diffusers.utils import export_to_video
from safetensors.torch import load_file, save_file

import moga.diffusers


def pixel_frames(script):
    return [shot["frames"] if "frames" in shot else round(shot["duration"] * script["fps"]) for shot in script["shot"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("script", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, help="video to write")
    parser.add_argument("--noise", type=pathlib.Path, help="safetensors with latents [z, frames, rows, columns]")
    parser.add_argument("--save-latents", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--text-tokens", type=int, default=512, help="of a caption")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()

    script = {"fps": 16, "negative_prompt": "", "global_caption": "", "seed": 0} | tomllib.loads(
        options.script.read_text()
    )
    dtype = torch.bfloat16 if options.device.startswith("cuda") else torch.float32
    pipeline = WanPipeline.from_pretrained(options.model, dtype=dtype).to(options.device)
    moga.diffusers.apply(pipeline.transformer, options.model / "transformer")
    noise = load_file(options.noise)["latents"].unsqueeze(0) if options.noise else None
    frames = moga.diffusers.ShotPipeline(pipeline)(
        prompt=[shot["caption"] for shot in script["shot"]],
        shot_frames=pixel_frames(script),
        global_prompt=script["global_caption"],
        negative_prompt=script["negative_prompt"],
        width=script["size"][0],
        height=script["size"][1],
        num_inference_steps=options.steps,
        guidance_scale=options.guidance,
        max_sequence_length=options.text_tokens,
        generator=torch.Generator("cpu").manual_seed(script["seed"]),
        latents=noise,
        output_type="latent" if options.save_latents else "np",
    ).frames
    if options.save_latents:
        save_file({"latents": frames[0].float().cpu().contiguous()}, options.save_latents)
    elif options.out:
        export_to_video(frames[0], str(options.out), fps=script["fps"])


if __name__ == "__main__":
    main()
