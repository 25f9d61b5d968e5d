"""Transformers and text encoders with weights in 8 bits: scales that are wrong, and formats that are not read."""

import json
import math
import struct

from damage import case
from safetensors_files import entry

Q = "blocks.0.attn1.to_q"
WEIGHT, SCALE, COMFY = Q + ".weight", Q + ".weight_scale", Q + ".comfy_quant"
TEXT = "encoder.block.0.layer.0.SelfAttention.q"


def scaled(scale=(), dtype="F32", weight="F8_E4M3", part="transformer", layer=Q, suffix=".weight_scale", values=None, metadata=None, **more):
    """A weight in 8 bits, its scale of ones, and more tensors by name."""
    ones = {layer + suffix: struct.pack("<f", 1.0) * math.prod(scale)} if scale is not None and dtype == "F32" else {}

    def change(model):
        def edit(tensors):
            tensors[layer + ".weight"].update(dtype=weight)
            if scale is not None:
                tensors[layer + suffix] = entry(scale, dtype)
            tensors.update(more)

        model.tensors(part, edit, metadata, ones | (values or {}))

    return change


def comfy(text, dtype="U8"):
    raw = text if isinstance(text, bytes) else json.dumps(text).encode()
    return scaled(values={COMFY: raw} if dtype == "U8" else {}, **{COMFY: entry([len(raw)], dtype)})


def quantization(value):
    return scaled(metadata={"_quantization_metadata": value if isinstance(value, str) else json.dumps(value)})


def number(value):
    return {SCALE: struct.pack("<f", value)}


def cases():
    embedding = "condition_embedder.time_embedder.linear_1"
    expected = "float8_e4m3fn"
    tables = {WEIGHT + ".absmax": entry([2304]), WEIGHT + ".quant_map": entry([256])}
    lost = {"encoder.block.7.layer.0.SelfAttention.q.weight_scale": entry([])}
    return [
        case("a scale of float32 weights", scaled(weight="F32"), WEIGHT, "holds Float", expected),
        case("a scale of bfloat16 weights", scaled(weight="BF16"), WEIGHT, "holds BFloat16", expected),
        case("a scale of e5m2", scaled(weight="F8_E5M2"), WEIGHT, "Float8_e5m2", expected),
        case("a scale of int8", scaled(weight="I8"), WEIGHT, "int8"),
        case("a scale of packed bytes", scaled(weight="U8"), WEIGHT, "packed bytes"),
        case("a scale of e8m0", scaled([384, 12], "F8_E8M0"), SCALE, "mxfp8"),
        case("scales of blocks", scaled([12, 12]), SCALE, "scales of blocks"),
        case("scales of columns", scaled([1, 384]), SCALE, "scales of blocks"),
        case("scales of too many rows", scaled([385]), SCALE, "scales of blocks"),
        case("no scales", scaled([0]), SCALE, "scales of blocks"),
        case("whole numbers as a scale", scaled(dtype="I32"), SCALE, "holds Int"),
        case("a scale of NaN", scaled(values=number(math.nan)), SCALE, "finite"),
        case("a scale of infinity", scaled(values=number(math.inf)), SCALE, "finite"),
        case("a scale below zero", scaled(values=number(-1.0)), SCALE, "-1"),
        case("a scale without its weight", scaled(**{"blocks.9.attn1.to_q.weight_scale": entry([])}), "blocks.9.attn1.to_q.weight_scale", "has no"),
        case("two scales", scaled(values={Q + ".scale_weight": struct.pack("<f", 1.0)}, **{Q + ".scale_weight": entry([])}), SCALE, Q + ".scale_weight", "same weight"),
        case("a scale of a norm", scaled(layer="blocks.0.attn1.norm_q"), "blocks.0.attn1.norm_q.weight_scale"),
        case("scales of scales", scaled(**{SCALE + "_2": entry([])}), WEIGHT, "nvfp4"),
        case("a scale for products", scaled(suffix=".weight_scale_inv"), "weight_scale_inv", "DeepSeek"),
        case("int8 of ComfyUI", comfy({"format": "int8_tensorwise"}), COMFY, "int8_tensorwise"),
        case("int8 with a rotation", comfy({"format": "int8_convrot", "convrot_groupsize": 256}), COMFY, "int8_convrot"),
        case("mxfp8 of ComfyUI", comfy({"format": "mxfp8"}), COMFY, "mxfp8"),
        case("nvfp4 of ComfyUI", comfy({"format": "nvfp4"}), COMFY, "nvfp4"),
        case("e5m2 of ComfyUI", comfy({"format": "float8_e5m2"}), COMFY, "float8_e5m2"),
        case("a format that is a number", comfy({"format": 8}), COMFY, "states no format"),
        case("no format", comfy({}), COMFY, "states no format"),
        case("a format that is no JSON", comfy(b"float8"), COMFY),
        case("a format in a list", comfy(["float8_e4m3fn"]), COMFY),
        case("a format in floats", comfy({"format": expected}, "F32"), COMFY, "bytes of a JSON text"),
        case("a format of a megabyte", scaled(**{COMFY: entry([1000000], "U8")}), COMFY, "bytes of a JSON text"),
        case("metadata of another format", quantization({"layers": {Q: {"format": "nvfp4"}}}), Q, "nvfp4"),
        case("metadata without layers", quantization({"format_version": "1.0"}), "_quantization_metadata", "no layers"),
        case("metadata with layers in a list", quantization({"layers": [Q]}), "_quantization_metadata", "no layers"),
        case("metadata with a layer as text", quantization({"layers": {Q: expected}}), Q, "states no format"),
        case("metadata that is no JSON", quantization("{"), "_quantization_metadata"),
        case("bitsandbytes", scaled(None, weight="U8", **tables), WEIGHT, "bitsandbytes"),
        case("GPTQ", scaled(None, **{Q + ".qweight": entry([48, 384], "I32"), Q + ".qzeros": entry([3, 48], "I32")}), Q + ".qweight", "GPTQ"),
        case("a text encoder with int8", scaled(weight="I8", part="text_encoder", layer=TEXT), TEXT, "int8"),
        case("a text encoder with scales of blocks", scaled([4, 4], part="text_encoder", layer=TEXT), TEXT, "scales of blocks"),
        case("a text encoder with a scaled norm", scaled(part="text_encoder", layer="encoder.final_layer_norm"), "encoder.final_layer_norm.weight_scale"),
        case("a text encoder with a scale alone", scaled(part="text_encoder", layer=TEXT, **lost), "encoder.block.7"),
        case("a scale of time", scaled(weight="F32", layer=embedding), embedding + ".weight"),
    ]  # fmt: skip
