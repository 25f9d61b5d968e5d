"""Writes tests/model/fixtures/lora/: LoRA files of three kinds for the tiny transformer of transformer.safetensors, and
the velocities that diffusers computes with them through load_lora_weights. The C++ tests load the same files.

Made with torch==2.11.0 diffusers==0.42.1 peft==0.21.2 safetensors==0.8.0. Run from the repository root, after
make_fixtures_transformer.py:
    python tools/make_fixtures_lora.py
"""
import json
import pathlib

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file

FIXTURES = pathlib.Path("tests/model/fixtures")
RANK = 4
ATTENTION = ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o",
             "cross_attn.q", "cross_attn.k", "cross_attn.v", "cross_attn.o"]


def sizes(config):
    """{original name of a layer: (out, in)}, of the layers of all blocks."""
    width, ffn = config["num_attention_heads"] * config["attention_head_dim"], config["ffn_dim"]
    layers = {}
    for block in range(config["num_layers"]):
        layers |= {f"blocks.{block}.{name}": (width, width) for name in ATTENTION}
        layers |= {f"blocks.{block}.ffn.0": (ffn, width), f"blocks.{block}.ffn.2": (width, ffn)}
    return layers


def factors(out, into, rank=RANK):
    return torch.randn(rank, into) * 0.2, torch.randn(out, rank) * 0.2


def kohya(config):
    tensors = {}
    for name, (out, into) in sizes(config).items():
        stem = "lora_unet_" + name.replace(".", "_")
        down, up = factors(out, into)
        tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": torch.tensor(2.0)}
    return tensors, {"ss_network_module": "networks.lora_wan"}


def comfyui(config):
    """As the published LoRAs of few steps: differences of biases and of the head next to low-rank updates."""
    tensors, width = {}, config["num_attention_heads"] * config["attention_head_dim"]
    more = {"time_projection.1": (6 * width, width), "text_embedding.0": (width, config["text_dim"]),
            "text_embedding.2": (width, width), "time_embedding.0": (width, config["freq_dim"]),
            "time_embedding.2": (width, width)}
    for name, (out, into) in (sizes(config) | more).items():
        stem = "diffusion_model." + name
        down, up = factors(out, into)
        tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up,
                    f"{stem}.diff_b": torch.randn(out) * 0.05}
    head = config["out_channels"] * 4
    tensors |= {"diffusion_model.head.head.diff": torch.randn(head, width) * 0.05,
                "diffusion_model.head.head.diff_b": torch.randn(head) * 0.05}
    return tensors, {"format": "pt"}


def diffusers(config):
    tensors = {}
    names = {"self_attn": "attn1", "cross_attn": "attn2", "q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0"}
    for name, (out, into) in sizes(config).items():
        if "attn" not in name:
            continue
        block, attention, part = name.rsplit(".", 2)
        stem = f"transformer.{block}.{names[attention]}.{names[part]}"
        tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"] = factors(out, into)
    peft = {"r": RANK, "lora_alpha": 6, "target_modules": ["to_q", "to_k", "to_v", "to_out.0"]}
    return tensors, {"format": "pt", "lora_adapter_metadata": json.dumps({f"transformer.{k}": v for k, v in peft.items()})}


def velocity(source, config, files, weights):
    weights_of_model = {name[8:]: source[name] for name in source if name.startswith("weights.")}
    transformer = WanTransformer3DModel(**config).eval()
    transformer.load_state_dict(weights_of_model)
    pipe = WanPipeline(tokenizer=None, text_encoder=None, vae=None, scheduler=FlowMatchEulerDiscreteScheduler(),
                       transformer=transformer)
    names = ["first", "second"][:len(files)]
    for name, file in zip(names, files):
        pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=name)
    pipe.set_adapters(names, adapter_weights=weights)
    with torch.no_grad():
        return pipe.transformer(source["latent"], source["timestep"], source["text"], return_dict=False)[0]


def main():
    torch.manual_seed(20261130)
    with safe_open(FIXTURES / "transformer.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
    source = load_file(FIXTURES / "transformer.safetensors")
    folder = FIXTURES / "lora"
    folder.mkdir(exist_ok=True)
    files = {}
    for make in (kohya, comfyui, diffusers):
        tensors, metadata = make(config)
        files[make.__name__] = folder / f"{make.__name__}.safetensors"
        save_file({name: tensor.bfloat16() if tensor.dim() == 2 else tensor for name, tensor in tensors.items()},
                  files[make.__name__], metadata=metadata)
    results = {name: velocity(source, config, [file], [0.7]) for name, file in files.items()}
    results["both"] = velocity(source, config, [files["kohya"], files["diffusers"]], [1.0, 0.5])
    save_file({name: tensor.contiguous() for name, tensor in results.items()}, folder / "velocities.safetensors")
    for path in sorted(folder.iterdir()):
        print(path, path.stat().st_size, "bytes")
    base = source["velocity"]
    print({name: float((value - base).norm() / base.norm()) for name, value in results.items()})


if __name__ == "__main__":
    main()
