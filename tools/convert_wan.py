"""Converts an original Wan repository, as published, to a model folder for moga:

    python3 tools/convert_wan.py Wan2.1-T2V-1.3B models/wan-1.3b

Wan2.1-T2V-1.3B and -14B, Wan2.1-I2V-14B-480P and -720P, Wan2.1-FLF2V-14B-720P, Wan2.2-T2V-A14B, Wan2.2-I2V-A14B,
Wan2.2-TI2V-5B.

The pickles of the VAE and the text encoder (Wan2.1_VAE.pth or Wan2.2_VAE.pth, models_t5_*.pth) become safetensors with the same names,
dtypes and values; of the image encoder (models_clip_*.pth) the vision part, under the names of transformers. They are
loaded with weights_only, so no code in them runs. The transformers' safetensors are linked, the tokenizer is copied.
Needs a Python with torch (pip install torch) and no other package. Leaves nothing behind on an error.
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
# Latent statistics as published with AutoencoderKLWan, mean and deviation, by the number of latent channels.
STATISTICS = {
    16: ([-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
          0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921],
         [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
          3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160]),
    48: ([-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557,
          -0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825,
          -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
          -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230,
          -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748,
          0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667],
         [0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013,
          0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978,
          0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
          0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093,
          0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887,
          0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744]),
}  # fmt: skip

# Settings of the original's configs for each kind of model. Wan2.1's models of 720p and of text take a shift of 5; that
# of 480p and the small one take 3.
WAN21 = {"steps": 50, "guidance": 5.0}
SAMPLING = {
    ("t2v", False): WAN21,
    ("i2v", False): WAN21 | {"steps": 40},
    ("flf2v", False): WAN21 | {"flow_shift": 16.0},
    ("t2v", True): {"steps": 40, "guidance": 4.0, "guidance_2": 3.0, "flow_shift": 12.0},
    ("i2v", True): {"steps": 40, "guidance": 3.5, "guidance_2": 3.5, "flow_shift": 5.0},
    ("ti2v", False): {"steps": 50, "guidance": 5.0},
}
BOUNDARY = {"t2v": 0.875, "i2v": 0.9}  # of two experts

# Names of the image encoder's vision part → transformers'.
VISION = {
    "visual.patch_embedding.": "embeddings.patch_embedding.",
    "visual.pre_norm.": "pre_layrnorm.",
    "visual.post_norm.": "post_layernorm.",
}
VISION_LAYER = {
    "norm1.": "layer_norm1.", "norm2.": "layer_norm2.", "attn.proj.": "self_attn.out_proj.", "mlp.0.": "mlp.fc1.",
    "mlp.2.": "mlp.fc2.",
}  # fmt: skip


def one_of(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder}: found {len(found)} files matching {pattern}, expected one; is this an original Wan repository?")
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
    base, pixels = tensors["encoder.conv1.weight"].shape[:2]
    z = tensors["conv2.weight"].shape[0]
    if z not in STATISTICS:
        sys.exit(f"the VAE has {z} latent channels, expected 16 or 48: it is neither Wan2.1's nor Wan2.2's")
    mean, deviation = STATISTICS[z]
    config = {"_class_name": "AutoencoderKLWan", "base_dim": base, "z_dim": z, "latents_mean": mean,
              "latents_std": deviation}  # fmt: skip
    if z == 48:  # levels with shortcuts, squares of 2x2 pixels as channels
        config |= {"decoder_base_dim": tensors["decoder.conv1.weight"].shape[0] // 4, "is_residual": True,
                   "patch_size": 2, "in_channels": pixels, "out_channels": pixels, "scale_factor_spatial": 16,
                   "scale_factor_temporal": 4}  # fmt: skip
    return config


def text_config(tensors: dict) -> dict:
    vocabulary, width = tensors["token_embedding.weight"].shape
    buckets, heads = tensors["blocks.0.pos_embedding.embedding.weight"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
    return {"vocab_size": vocabulary, "d_model": width, "num_layers": layers, "num_heads": heads,
            "d_kv": tensors["blocks.0.attn.q.weight"].shape[0] // heads,
            "d_ff": tensors["blocks.0.ffn.fc1.weight"].shape[0], "relative_attention_num_buckets": buckets}  # fmt: skip


def image_encoder_tensors(tensors: dict) -> dict:
    """The vision part, under the names of transformers' CLIPVisionModel."""
    converted = {}
    for name, tensor in tensors.items():
        layer = name.removeprefix("visual.transformer.").split(".", 1)
        if name == "visual.cls_embedding":
            converted["embeddings.class_embedding"] = tensor.flatten()
        elif name == "visual.pos_embedding":
            converted["embeddings.position_embedding.weight"] = tensor[0]
        elif name.startswith("visual.transformer.") and layer[1].startswith("attn.to_qkv."):
            for part, value in zip("qkv", tensor.chunk(3)):
                converted[f"encoder.layers.{layer[0]}.self_attn.{part}_proj.{layer[1].rpartition('.')[2]}"] = value
        elif name.startswith("visual.transformer."):
            prefix = next((p for p in VISION_LAYER if layer[1].startswith(p)), None)
            if prefix is None:
                sys.exit(f"the image encoder has a tensor {name}, expected those of ViT-H/14")
            converted[f"encoder.layers.{layer[0]}.{VISION_LAYER[prefix]}{layer[1].removeprefix(prefix)}"] = tensor
        else:
            for original, ours in VISION.items():
                if name.startswith(original):
                    converted[ours + name.removeprefix(original)] = tensor
    return {f"vision_model.{name}": tensor for name, tensor in converted.items()}


def image_encoder_config(tensors: dict) -> dict:
    width, _, patch, _ = tensors["vision_model.embeddings.patch_embedding.weight"].shape
    positions = tensors["vision_model.embeddings.position_embedding.weight"].shape[0]
    layers = 1 + max(int(name.split(".")[3]) for name in tensors if ".layers." in name)
    return {"architectures": ["CLIPVisionModel"], "model_type": "clip_vision_model", "hidden_size": width,
            "intermediate_size": tensors["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
            "num_hidden_layers": layers, "num_attention_heads": max(1, width // 80), "patch_size": patch,
            "image_size": patch * int((positions - 1) ** 0.5), "hidden_act": "gelu"}  # fmt: skip


def transformers_of(source: Path) -> list[Path]:
    """The folders with config.json and safetensors: one, or the two experts, high noise first."""
    experts = [source / "high_noise_model", source / "low_noise_model"]
    folders = experts if experts[0].exists() else [source]
    for folder in folders:
        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            sys.exit(f"{folder}: found no config.json with a transformer's .safetensors, expected an original Wan repository")
    return folders


def transformer_config(folder: Path, two_experts: bool) -> dict:
    config = json.loads((folder / "config.json").read_text())
    kind = config.setdefault("model_type", "t2v")
    if (kind, two_experts) not in SAMPLING:
        known = ", ".join(sorted({kind for kind, two in SAMPLING if two == two_experts}))
        sys.exit(f"{folder / 'config.json'}: model_type is {kind!r}, expected one of {known}")
    if two_experts:
        config |= {"image_dim": None, "added_kv_proj_dim": None}  # Wan2.2 has no image encoder
    return config


def write_image_encoder(source: Path, out: Path) -> None:
    tensors = image_encoder_tensors(read_pickle(one_of(source, "*clip*.pth")))
    for part in ("image_encoder", "image_processor"):
        (out / part).mkdir()
    write_safetensors(out / "image_encoder" / "model.safetensors", tensors)
    config = image_encoder_config(tensors)
    write_json(out / "image_encoder" / "config.json", config)
    side = config["image_size"]
    write_json(out / "image_processor" / "preprocessor_config.json",
               {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": side},
                "crop_size": {"height": side, "width": side}, "resample": 3})  # fmt: skip
    print(f"image_encoder: {len(tensors)} tensors", flush=True)


def model_index(kind: str, two_experts: bool, encoder: bool) -> dict:
    transformer = ["diffusers", "WanTransformer3DModel"]
    index = {"_class_name": "WanPipeline" if kind in ("t2v", "ti2v") else "WanImageToVideoPipeline",
             "transformer": transformer, "text_encoder": ["transformers", "UMT5EncoderModel"],
             "tokenizer": ["transformers", "T5TokenizerFast"], "vae": ["diffusers", "AutoencoderKLWan"],
             "scheduler": ["diffusers", "UniPCMultistepScheduler"]}  # fmt: skip
    if kind == "ti2v":
        index |= {"expand_timesteps": True}
    if two_experts:
        index |= {"transformer_2": transformer, "boundary_ratio": BOUNDARY[kind]}
    if encoder:
        index |= {"image_encoder": ["transformers", "CLIPVisionModel"],
                  "image_processor": ["transformers", "CLIPImageProcessor"]}  # fmt: skip
    return index


def convert(source: Path, out: Path) -> None:
    folders = transformers_of(source)
    two_experts = len(folders) > 1
    configs = [transformer_config(folder, two_experts) for folder in folders]
    kind = configs[0]["model_type"]
    encoder = kind in ("i2v", "flf2v") and not two_experts
    parts = ["transformer", "transformer_2"][: len(folders)]
    for part in (*parts, "vae", "text_encoder", "tokenizer", "scheduler"):
        (out / part).mkdir(parents=True)
    for part, pattern, file, config in (("vae", "*VAE*.pth", "diffusion_pytorch_model.safetensors", vae_config),
                                        ("text_encoder", "*t5*.pth", "model.safetensors", text_config)):
        tensors = read_pickle(one_of(source, pattern))
        write_safetensors(out / part / file, tensors)
        write_json(out / part / "config.json", config(tensors))
        print(f"{part}: {len(tensors)} tensors", flush=True)
    text = json.loads((out / "text_encoder" / "config.json").read_text())
    for part, folder, transformer in zip(parts, folders, configs):
        write_json(out / part / "config.json", transformer | {"text_dim": text["d_model"]})
        for file in folder.glob("*.safetensors*"):
            (out / part / file.name).symlink_to(file.resolve())
    shutil.copy(one_of(source, "google/*/spiece.model"), out / "tokenizer")
    if encoder:
        write_image_encoder(source, out)
    write_json(out / "model_index.json", model_index(kind, two_experts, encoder))
    small = configs[0]["dim"] <= 2048 or "480" in source.name
    write_json(out / "scheduler" / "scheduler_config.json",
               {"_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": True,
                "num_train_timesteps": 1000, "solver_order": 2, "flow_shift": 3.0 if small else 5.0}
               | SAMPLING[kind, two_experts])  # fmt: skip


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
