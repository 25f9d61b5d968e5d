"""Writes tests/model/fixtures/wan.safetensors: a tiny random WanModel of the original Wan2.1 repository, its state_dict
under its own names, one input of two videos of unequal size, and its output, in float32. The C++ test loads these weights
unchanged and must get the same output; weights that it writes must have these names and shapes.

The original uses flash-attn, which needs a GPU; here torch's scaled_dot_product_attention replaces it.
Made with torch==2.11.0 diffusers==0.42.1 safetensors==0.8.0 and github.com/Wan-Video/Wan2.1 at 9737cba9. Run from the
root of this repository:
    python tools/make_fixtures_wan.py CHECKOUT_OF_WAN2.1
"""
import importlib.util
import json
import pathlib
import sys
import types

import torch
from safetensors.torch import save_file
from torch.nn.functional import scaled_dot_product_attention

CONFIG = dict(
    model_type="t2v", text_len=8, in_dim=4, dim=24, ffn_dim=32, freq_dim=16, text_dim=12, out_dim=4, num_heads=2,
    num_layers=2, eps=1e-6)
CAPTION_LENGTHS = (5, 8)


def attention(q, k, v, k_lens=None, **_):
    """q, k, v: [B, L, H, D]; keys beyond k_lens are padding."""
    lengths = [k.shape[1]] * len(q) if k_lens is None else k_lens.tolist()
    videos = [
        scaled_dot_product_attention(*(x[i : i + 1, :end].transpose(1, 2) for x, end in ((q, None), (k, n), (v, n))))
        for i, n in enumerate(lengths)
    ]
    return torch.cat(videos).transpose(1, 2)


def original_class(checkout: pathlib.Path) -> type:
    """WanModel, without the package's __init__ and all that it imports."""
    package = types.ModuleType("wan_modules")
    package.__path__ = []
    sys.modules["wan_modules"] = package
    sys.modules["wan_modules.attention"] = types.ModuleType("wan_modules.attention")
    sys.modules["wan_modules.attention"].flash_attention = attention
    spec = importlib.util.spec_from_file_location("wan_modules.model", checkout / "wan/modules/model.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.WanModel


def main():
    torch.manual_seed(20251018)
    model = original_class(pathlib.Path(sys.argv[1]))(**CONFIG).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Away from the initial values, so that no norm's weight and no bias is trivially right.
            parameter.copy_(torch.randn_like(parameter) * 0.15 + (1.0 if "norm" in name and "weight" in name else 0.0))
        latents = [torch.randn(4, 3, 6, 8), torch.randn(4, 2, 4, 6)]
        captions = [torch.randn(length, CONFIG["text_dim"]) for length in CAPTION_LENGTHS]
        timestep = torch.tensor([37.25, 903.5])
        velocities = model(latents, timestep, captions, seq_len=3 * 3 * 4)
    text = torch.zeros(len(captions), CONFIG["text_len"], CONFIG["text_dim"])
    for rows, caption in zip(text, captions):
        rows[: len(caption)] = caption
    tensors = {f"weights.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {"timestep": timestep, "text": text}
    for i, (latent, velocity) in enumerate(zip(latents, velocities)):
        tensors |= {f"latent.{i}": latent, f"velocity.{i}": velocity}
    path = pathlib.Path("tests/model/fixtures/wan.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path,
              metadata={"config": json.dumps(CONFIG)})
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
