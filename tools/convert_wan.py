"""Converts an original Wan2.1 repository (Wan2.1-T2V-1.3B or -14B as published) to a model folder for moga:

    python3 tools/convert_wan.py Wan2.1-T2V-1.3B models/wan-1.3b

The pickles of the VAE and the text encoder (Wan2.1_VAE.pth, models_t5_*.pth) become safetensors with the same names,
dtypes and values. They are loaded with weights_only, so no code in them runs. The transformer's safetensors are linked,
the tokenizer is copied. Needs a Python with torch (pip install torch) and no other package. Leaves nothing behind on an
error.
"""

import argparse
import ctypes
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch

DTYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
# Latent statistics as published with AutoencoderKLWan.
MEAN = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
        0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921]  # fmt: skip
DEVIATION = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
             3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160]  # fmt: skip


def one_of(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder}: found {len(found)} files matching {pattern}, expected one; is this an original Wan2.1 repository?")
    return found[0]


def read_pickle(path: Path) -> dict:
    tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    odd = [name for name, tensor in tensors.items() if not torch.is_tensor(tensor) or tensor.dtype not in DTYPES]
    if odd:
        sys.exit(f"{path}: {odd[0]} is not a tensor of float32, bfloat16 or float16")
    return tensors


def write_safetensors(path: Path, tensors: dict) -> None:
    header, begin = {}, 0
    for name, tensor in tensors.items():
        end = begin + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            values = tensor.contiguous()
            file.write((ctypes.c_char * (values.numel() * values.element_size())).from_address(values.data_ptr()))


def write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")


def vae_config(tensors: dict) -> dict:
    base = tensors["encoder.conv1.weight"].shape[0]
    z = tensors["conv2.weight"].shape[0]
    if z != len(MEAN):
        sys.exit(f"the VAE has {z} latent channels, expected {len(MEAN)}: it is not Wan2.1's")
    return {"_class_name": "AutoencoderKLWan", "base_dim": base, "z_dim": z, "latents_mean": MEAN,
            "latents_std": DEVIATION}  # fmt: skip


def text_config(tensors: dict) -> dict:
    vocabulary, width = tensors["token_embedding.weight"].shape
    buckets, heads = tensors["blocks.0.pos_embedding.embedding.weight"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
    return {"vocab_size": vocabulary, "d_model": width, "num_layers": layers, "num_heads": heads,
            "d_kv": tensors["blocks.0.attn.q.weight"].shape[0] // heads,
            "d_ff": tensors["blocks.0.ffn.fc1.weight"].shape[0], "relative_attention_num_buckets": buckets}  # fmt: skip


def transformer_config(source: Path) -> dict:
    if not (source / "config.json").is_file() or not list(source.glob("*.safetensors")):
        hint = " (Wan2.2 is not supported)" if (source / "high_noise_model").exists() else ""
        sys.exit(
            f"{source}: found no config.json with a transformer's .safetensors, expected an original Wan2.1 repository{hint}"
        )
    config = json.loads((source / "config.json").read_text())
    if config.get("model_type", "t2v") != "t2v":
        sys.exit(f"{source / 'config.json'}: model_type is {config['model_type']!r}, expected 't2v' (text to video)")
    return config


def convert(source: Path, out: Path) -> None:
    config = transformer_config(source)
    for part in ("transformer", "vae", "text_encoder", "tokenizer", "scheduler"):
        (out / part).mkdir(parents=True)
    for part, pattern, file, config in (("vae", "*VAE*.pth", "diffusion_pytorch_model.safetensors", vae_config),
                                        ("text_encoder", "*t5*.pth", "model.safetensors", text_config)):
        tensors = read_pickle(one_of(source, pattern))
        write_safetensors(out / part / file, tensors)
        write_json(out / part / "config.json", config(tensors))
        print(f"{part}: {len(tensors)} tensors", flush=True)
    text = json.loads((out / "text_encoder" / "config.json").read_text())
    write_json(out / "transformer" / "config.json", config | {"text_dim": text["d_model"]})
    for file in source.glob("*.safetensors*"):
        (out / "transformer" / file.name).symlink_to(file.resolve())
    shutil.copy(one_of(source, "google/*/spiece.model"), out / "tokenizer")
    large = config["dim"] > 2048
    write_json(out / "scheduler" / "scheduler_config.json",
               {"_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": True,
                "num_train_timesteps": 1000, "solver_order": 2, "flow_shift": 5.0 if large else 3.0})  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the original repository's folder")
    parser.add_argument("out", type=Path, help="folder to write, must not exist")
    arguments = parser.parse_args()
    if arguments.out.exists():
        sys.exit(f"{arguments.out}: exists already; name a new folder")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.out.parent, prefix=".convert-") as folder:
        convert(arguments.source, Path(folder) / "model")
        (Path(folder) / "model").rename(arguments.out)


if __name__ == "__main__":
    main()
