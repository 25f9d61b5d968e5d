"""Complete model folders of every family that `moga` runs, of a few megabytes.

The weights of transformers and text encoders are holes (safetensors_files.py); the VAEs, the image encoder and the
tokenizer are the test fixtures of the source tree.
"""

import json
import math
import random
import shutil
import struct

from safetensors_files import entry, write_weights

WEIGHTS = {"text_encoder": "model.safetensors", "image_encoder": "model.safetensors"}
DIFFUSERS = "diffusion_pytorch_model.safetensors"  # the other parts


class Tensors(dict):
    """Entries by name, as modules add them."""

    def add(self, name, *shape):
        self[name] = entry(shape)

    def linear(self, name, out, inputs):
        self.add(name + ".weight", out, inputs)
        self.add(name + ".bias", out)


def wan_tensors(config):
    """Of WanTransformer3DModel, in diffusers' names."""
    width, ffn, text = config["num_attention_heads"] * config["attention_head_dim"], config["ffn_dim"], config["text_dim"]
    tensors = Tensors()
    add, linear = tensors.add, tensors.linear

    add("patch_embedding.weight", width, config["in_channels"], 1, 2, 2)
    add("patch_embedding.bias", width)
    embedder = "condition_embedder."
    for part, inputs in (("text_embedder.linear_1", text), ("text_embedder.linear_2", width),
                         ("time_embedder.linear_1", config["freq_dim"]), ("time_embedder.linear_2", width)):  # fmt: skip
        linear(embedder + part, width, inputs)
    linear(embedder + "time_proj", 6 * width, width)
    if image := config.get("image_dim"):
        for norm, size in (("norm1", image), ("norm2", width)):
            add(f"{embedder}image_embedder.{norm}.weight", size)
            add(f"{embedder}image_embedder.{norm}.bias", size)
        linear(embedder + "image_embedder.ff.net.0.proj", image, image)
        linear(embedder + "image_embedder.ff.net.2", width, image)
        if positions := config.get("pos_embed_seq_len"):
            add(embedder + "image_embedder.pos_embed", 1, positions, image)
    for layer in range(config["num_layers"]):
        block = f"blocks.{layer}."
        add(block + "scale_shift_table", 1, 6, width)
        add(block + "norm2.weight", width)
        add(block + "norm2.bias", width)
        for attention in ("attn1", "attn2"):
            for product in ("to_q", "to_k", "to_v", "to_out.0"):
                linear(f"{block}{attention}.{product}", width, width)
            for norm in ("norm_q", "norm_k"):
                add(f"{block}{attention}.{norm}.weight", width)
        if image:
            for product in ("add_k_proj", "add_v_proj"):
                linear(f"{block}attn2.{product}", width, width)
            add(block + "attn2.norm_added_k.weight", width)
        linear(block + "ffn.net.0.proj", ffn, width)
        linear(block + "ffn.net.2", width, ffn)
    add("scale_shift_table", 1, 2, width)
    linear("proj_out", config["out_channels"] * 4, width)
    return tensors


def mmdit_tensors(config):
    width, ffn = config["num_attention_heads"] * config["attention_head_dim"], config["ffn_dim"]
    tensors = Tensors()
    add, linear = tensors.add, tensors.linear

    def attention(name, products):
        for product in products:
            linear(f"{name}.{product}", width, width)
        for product in products[:2]:
            if product in "qk":
                add(f"{name}.norm_{product}.weight", width)

    add("patch_embedding.weight", width, config["in_channels"], 1, 2, 2)
    add("patch_embedding.bias", width)
    for part, inputs in (("text_embedding", config["text_dim"]), ("time_embedding", config["freq_dim"])):
        linear(part + ".0", width, inputs)
        linear(part + ".2", width, width)
    linear("time_projection.1", 9 * width, width)
    linear("text_time_projection.1", 6 * width, width)
    for layer in range(config["num_layers"]):
        block, last = f"blocks.{layer}.", layer == config["num_layers"] - 1
        add(block + "modulation", 1, 9, width)
        attention(block + "self_attn", "qkvo")
        attention(block + "cross_attn", "qkvo")
        linear(block + "ffn.0", ffn, width)
        linear(block + "ffn.2", width, ffn)
        add(block + "text.modulation", 1, 2 if last else 6, width)
        attention(block + "text.cross_attn", "kv" if last else "qkvo")
        if not last:
            linear(block + "text.ffn.0", ffn, width)
            linear(block + "text.ffn.2", width, ffn)
    add("head.modulation", 1, 2, width)
    linear("head.head", config["in_channels"] * 4, width)
    return tensors


def umt5_tensors(config):
    width, inner, ffn = config["d_model"], config["num_heads"] * config["d_kv"], config["d_ff"]
    tensors = {"shared.weight": entry((config["vocab_size"], width))}
    for layer in range(config["num_layers"]):
        block = f"encoder.block.{layer}.layer."
        for product in "qkv":
            tensors[f"{block}0.SelfAttention.{product}.weight"] = entry((inner, width))
        tensors[block + "0.SelfAttention.o.weight"] = entry((width, inner))
        tensors[block + "0.SelfAttention.relative_attention_bias.weight"] = entry((32, config["num_heads"]))
        tensors[block + "0.layer_norm.weight"] = tensors[block + "1.layer_norm.weight"] = entry((width,))
        tensors[block + "1.DenseReluDense.wi_0.weight"] = tensors[block + "1.DenseReluDense.wi_1.weight"] = entry((ffn, width))
        tensors[block + "1.DenseReluDense.wo.weight"] = entry((width, ffn))
    tensors["encoder.final_layer_norm.weight"] = entry((width,))
    return tensors


WAN = {"_class_name": "WanTransformer3DModel", "num_attention_heads": 3, "attention_head_dim": 128, "in_channels": 4,
       "out_channels": 4, "text_dim": 512, "freq_dim": 256, "ffn_dim": 1536, "num_layers": 2, "text_len": 16}  # fmt: skip
MMDIT = {key: value for key, value in WAN.items() if key != "out_channels"} | {"_class_name": "MogaMMDiTTransformer3DModel"}
UMT5 = {"model_type": "umt5", "vocab_size": 8192, "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 1, "num_heads": 8}
WITH_IMAGES = {"in_channels": 12}  # latents, a mask of 4 frames and the images' latents
SEES_IMAGES = WITH_IMAGES | {"image_dim": 16, "added_kv_proj_dim": 384}
PIPELINE, IMAGE_PIPELINE = {"_class_name": "WanPipeline"}, {"_class_name": "WanImageToVideoPipeline"}
EXPERT = ["diffusers", "WanTransformer3DModel"]

# Family → config of the transformer, model_index.json, VAE.
FAMILIES = {
    "small": (WAN | {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "freq_dim": 16}, PIPELINE, "vae"),
    "T2V": (WAN, PIPELINE, "vae"),
    "I2V": (WAN | SEES_IMAGES, IMAGE_PIPELINE, "vae"),
    "FLF2V": (WAN | SEES_IMAGES | {"pos_embed_seq_len": 10}, IMAGE_PIPELINE, "vae"),
    "A14B": (WAN | WITH_IMAGES, IMAGE_PIPELINE | {"transformer": EXPERT, "transformer_2": EXPERT, "boundary_ratio": 0.9}, "vae"),
    "TI2V-5B": (WAN, PIPELINE | {"expand_timesteps": True}, "vae22"),
    "MMDiT": (MMDIT, {"_class_name": "MogaMMDiTPipeline"}, "vae"),
}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))


def noise(tensors):
    """Values of every tensor, for a model that has to compute something."""
    dice = random.Random(1)
    sizes = {name: math.prod(tensor["shape"]) for name, tensor in tensors.items()}
    return {name: struct.pack(f"<{size}f", *(dice.gauss(0, 0.2) for _ in range(size))) for name, size in sizes.items()}


def write_family(folder, family, fixtures):
    """A complete folder. The transformer of the small one has values, so that it can be calibrated."""
    config, index, vae = FAMILIES[family]
    write_json(folder / "model_index.json", index)
    for part in ("transformer", "transformer_2") if "transformer_2" in index else ("transformer",):
        write_json(folder / part / "config.json", config)
        tensors = mmdit_tensors(config) if family == "MMDiT" else wan_tensors(config)
        values = noise(tensors) if family == "small" else {}
        write_weights(folder / part / DIFFUSERS, tensors, {"format": "pt"}, values)
    write_json(folder / "text_encoder/config.json", UMT5)
    write_weights(folder / "text_encoder/model.safetensors", umt5_tensors(UMT5), {"format": "pt"})
    shutil.copytree(fixtures / vae, folder / "vae")
    if config.get("image_dim"):
        for part in ("image_encoder", "image_processor"):
            shutil.copytree(fixtures / "images" / part, folder / part)
    (folder / "tokenizer").mkdir()
    shutil.copy(fixtures / "spiece.model", folder / "tokenizer/spiece.model")
    write_json(folder / "scheduler/scheduler_config.json",
               {"_class_name": "UniPCMultistepScheduler", "flow_shift": 3.0, "prediction_type": "flow_prediction",
                "use_flow_sigmas": True, "steps": 2, "guidance": 1.0})  # fmt: skip
