"""Writes tests/pipeline/fixtures/noise.safetensors: what WanPipeline of diffusers makes of a seed.

`noise` is what its prepare_latents draws with torch.Generator("cpu").manual_seed(seed), `final_latents` what the
pipeline of fixtures/wan makes of it, in float32; `other` is the noise of a negative seed in the shape of 224×128.
Made with torch==2.11.0 diffusers==0.42.1 transformers==5.24. Run from the repository root:

    python tools/make_fixtures_noise.py
"""

import json
from pathlib import Path

import torch
from diffusers import WanPipeline
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "tests/pipeline/fixtures"
REQUEST = dict(prompt="Ada walks in the park.", negative_prompt="night", width=48, height=32, num_frames=5,
               num_inference_steps=3, guidance_scale=4.0)  # fmt: skip
SEED, OTHER_SEED = 42, -7


def noise(pipeline, seed, width, height, frames):
    generator = torch.Generator("cpu").manual_seed(seed)
    return pipeline.prepare_latents(1, 4, height, width, frames, torch.float32, torch.device("cpu"), generator)[0]


def main():
    pipeline = WanPipeline.from_pretrained(FIXTURES / "wan", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator("cpu").manual_seed(SEED)
    final = pipeline(**REQUEST, generator=generator, output_type="latent").frames[0]
    tensors = {"noise": noise(pipeline, SEED, 48, 32, 5), "final_latents": final,
               "other": noise(pipeline, OTHER_SEED, 224, 128, 9)}  # fmt: skip
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, FIXTURES / "noise.safetensors",
              metadata={"request": json.dumps(REQUEST)})  # fmt: skip
    print({name: tuple(tensor.shape) for name, tensor in tensors.items()})


if __name__ == "__main__":
    main()
