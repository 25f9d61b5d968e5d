"""Writes tests/model/fixtures/transformer.safetensors: a tiny random WanTransformer3DModel of diffusers, one input and
its output, in float32. The C++ test loads the weights through the table of names and must get the same output.

Made with torch==2.11.0 diffusers==0.42.1 safetensors==0.8.0. Run from the repository root:
    python tools/make_fixtures_transformer.py
"""
import json
import pathlib

import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file

CONFIG = dict(
    num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, text_dim=16, freq_dim=16, ffn_dim=32,
    num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads", eps=1e-6, patch_size=[1, 2, 2])
TEXT_LENGTH = 8  # rows; a caption fills 5, the rest is zero and attended to


def main():
    torch.manual_seed(20251018)
    model = WanTransformer3DModel(**CONFIG).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Away from the initial values, so that no norm's weight and no bias is trivially right.
            parameter.copy_(torch.randn_like(parameter) * 0.15 + (1.0 if "norm" in name and "weight" in name else 0.0))
        latent = torch.randn(2, 4, 3, 6, 8)
        text = torch.randn(2, TEXT_LENGTH, 16)
        text[:, 5:] = 0
        timestep = torch.tensor([37.25, 903.5])
        velocity = model(latent, timestep, text, return_dict=False)[0]
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        # What diffusers itself loses in bfloat16, by its own rule of what stays float32: the measure of our error.
        for name, parameter in model.named_parameters():
            if not set(name.split(".")) & set(model._keep_in_fp32_modules):
                parameter.data = parameter.data.bfloat16()
        velocity_half = model(latent.bfloat16(), timestep, text.bfloat16(), return_dict=False)[0].float()

    tensors = {f"weights.{name}": tensor for name, tensor in weights.items()}
    tensors |= {"latent": latent, "text": text, "timestep": timestep, "velocity": velocity,
                "velocity_bfloat16": velocity_half}
    path = pathlib.Path("tests/model/fixtures/transformer.safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path,
              metadata={"config": json.dumps(CONFIG)})
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
