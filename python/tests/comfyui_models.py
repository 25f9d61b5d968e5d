"""A tiny Wan model for tests with ComfyUI, which expects head size 128, 16 latent channels and text of 4096. The same
weights serve diffusers and ComfyUI."""

import importlib.util
import json
import os
import pathlib
import sys

import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file

import moga
from moga.adapter import shapes_hash
from moga.wan_names import wan_name

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODES = ROOT / "python/comfyui"
CONFIG = moga.Config(groups=3, windows=moga.Windows(2, 2, 2, 1))
BLOCKS, WIDTH, CHANNELS, TEXT = 2, 256, 16, 4096

COMFYUI = os.environ.get("MOGA_COMFYUI", "")
SKIP = "no ComfyUI (MOGA_COMFYUI names the folder of a checkout)"


def use_comfyui():
    """ComfyUI as a library, on the CPU, and the node package as a module."""
    if COMFYUI not in sys.path:
        sys.path.insert(0, COMFYUI)
        import comfy.cli_args

        comfy.cli_args.args.cpu = True
        comfy.cli_args.args.use_pytorch_cross_attention = True  # as on GPUs
        name = "moga_comfyui"
        specification = importlib.util.spec_from_file_location(
            name, NODES / "__init__.py", submodule_search_locations=[str(NODES)]
        )
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        specification.loader.exec_module(module)
    return sys.modules["moga_comfyui"]


def transformer(image_to_video=False):
    torch.manual_seed(0)
    image = dict(in_channels=36, image_dim=1280, added_kv_proj_dim=WIDTH) if image_to_video else {}
    sizes = dict(num_attention_heads=WIDTH // 128, attention_head_dim=128, ffn_dim=64, num_layers=BLOCKS)
    model = WanTransformer3DModel(**sizes, **image).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 1.0 if name.endswith("weight") else 0.0, 0.2)
        elif parameter.ndim > 1:
            torch.nn.init.normal_(parameter, 0.0, 1.0 / parameter[0].numel() ** 0.5)
    return model


def wan_weights(model):
    """The weights in Wan's own names, as ComfyUI reads them."""
    return {wan_name(name): tensor.contiguous() for name, tensor in model.state_dict().items() if "router" not in name}


def router_tensors(seed=3, groups=CONFIG.groups):
    """Routers in the names of an adapter."""
    generator = torch.Generator().manual_seed(seed)
    routers = {}
    for block in range(BLOCKS):
        routers[f"diffusion_model.blocks.{block}.self_attn.router.weight"] = torch.randn(
            groups, WIDTH, generator=generator
        )
        routers[f"diffusion_model.blocks.{block}.self_attn.router.bias"] = torch.randn(groups, generator=generator)
    return routers


def save_adapter(path, model, config=CONFIG, tensors=None):
    """What `moga calibrate --adapter` writes, with random routers."""
    shapes = {name: tensor.shape for name, tensor in wan_weights(model).items()}
    base = {"class": "WanTransformer3DModel", "blocks": BLOCKS, "width": WIDTH, "hash": shapes_hash(shapes)}
    metadata = {"moga.attention": json.dumps(config.to_dict()), "moga.base": json.dumps(base)}
    save_file(router_tensors() if tensors is None else tensors, path, metadata)
    return path


def save_vae(path):
    from comfy.ldm.wan.vae import WanVAE

    torch.manual_seed(1)
    vae = WanVAE(dim=8, z_dim=CHANNELS, dim_mult=[1, 2, 4, 4], temperal_downsample=[False, True, True])
    weights = vae.state_dict()
    for name, tensor in weights.items():
        tensor.normal_(1.0 if name.endswith("gamma") else 0.0, 0.05)
    save_file(weights, path)
