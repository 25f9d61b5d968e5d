"""LoRA files that are malformed, of another kind or of another model. Each case writes a file for the T2V model."""

import json
import math
import struct

from damage import HTML, case
from safetensors_files import entry, write_header, write_weights

LAYER = "diffusion_model.blocks.0.self_attn.q"
DOWN, UP, ALPHA = LAYER + ".lora_down.weight", LAYER + ".lora_up.weight", LAYER + ".alpha"
PAIR = {DOWN: entry([4, 384]), UP: entry([384, 4])}
NAN, INFINITY = struct.pack("<f", math.nan), struct.pack("<f", math.inf)


def pair_of(layer, rank=4, width=384):
    return {layer + ".lora_A.weight": entry([rank, width]), layer + ".lora_B.weight": entry([width, rank])}


def cases():
    def file(tensors, metadata=None, values=None):
        return lambda path: write_weights(path, tensors, metadata, values)

    def header(text, size=0):
        return lambda path: write_header(path, text, size)

    def content(data):
        return lambda path: path.write_bytes(data)

    def peft(config):
        def change(path):
            path.mkdir()
            write_weights(path / "adapter_model.safetensors", pair_of("base_model.model.blocks.0.attn1.to_q"))
            (path / "adapter_config.json").write_text(config)

        return change

    def cut(size):
        def change(path):
            write_weights(path, PAIR)
            with open(path, "r+b") as opened:
                opened.truncate(size)

        return change

    half = {DOWN: entry([4, 384])}
    return [
        case("no tensors", file({}), "none of its 0 tensors"),
        case("weights of a whole model", file({"blocks.0.attn1.to_q.weight": entry([384, 384])}), "blocks.0.attn1.to_q.weight", "low-rank"),
        case("a key that is not known", file(PAIR | {LAYER + ".lora_C.weight": entry([4, 4])}), LAYER + ".lora_C.weight", "not understood"),
        case("a name with an escape code", file(PAIR | {"x\x1b[2J": entry([1])}), r"x\u001b[2J"),
        case("a factor without the other", file(half), DOWN, "has no partner"),
        case("the other factor alone", file({UP: entry([384, 4])}), UP, "has no partner"),
        case("ranks that differ", file({DOWN: entry([4, 384]), UP: entry([384, 5])}), "expected [rank, in] and [out, rank]"),
        case("rank 0", file({DOWN: entry([0, 384]), UP: entry([384, 0])}), "blocks.0.self_attn.q", "[0, 384]"),
        case("factors that are numbers", file({DOWN: entry([]), UP: entry([])}), "blocks.0.self_attn.q"),
        case("another width in", file({DOWN: entry([4, 5120]), UP: entry([384, 4])}), "[4, 5120]", "weight of [384, 384]"),
        case("another width out", file({DOWN: entry([4, 384]), UP: entry([5120, 4])}), "[5120, 4]", "weight of [384, 384]"),
        case("whole numbers", file({DOWN: entry([4, 384], "I32"), UP: entry([384, 4])}), DOWN, "holds Int"),
        case("bytes", file({DOWN: entry([4, 384]), UP: entry([384, 4], "U8")}), UP, "holds Byte"),
        case("NaN", file(PAIR, values={UP: NAN}), UP, "NaN"),
        case("infinity", file(PAIR, values={DOWN: INFINITY}), DOWN, "infinity"),
        case("an alpha of NaN", file(PAIR | {ALPHA: entry([])}, values={ALPHA: NAN}), ALPHA, "finite"),
        case("two alphas", file(PAIR | {ALPHA: entry([2])}), ALPHA, "expected one number"),
        case("an alpha alone", file(PAIR | {"diffusion_model.blocks.1.self_attn.q.alpha": entry([])}), "alpha without factors of blocks.1.self_attn.q"),
        case("a block that is not there", file(pair_of("transformer.blocks.30.attn1.to_q")), "not in the model: blocks.30.attn1.to_q"),
        case("attention to an image", file(pair_of("diffusion_model.blocks.0.cross_attn.k_img")), "blocks.0.cross_attn.k_img"),
        case("a layer twice", file(PAIR | pair_of("transformer.blocks.0.attn1.to_q")), "the same layer"),
        case("a norm", file(pair_of("diffusion_model.blocks.0.norm3")), "blocks.0.norm3", "no product"),
        case("a difference of another shape", file(PAIR | {"diffusion_model.head.head.diff": entry([16, 31])}), "head.head.diff", "[16, 31]"),
        case("a difference of no bias", file(PAIR | {"diffusion_model.head.modulation.diff_b": entry([8])}), "head.modulation.diff_b", "no bias"),
        case("a second expert", file(pair_of("transformer_2.blocks.0.attn1.to_q")), "second expert", "transformer_2.blocks.0.attn1.to_q"),
        case("metadata that is no JSON", file(PAIR, {"lora_adapter_metadata": "{"}), "lora_adapter_metadata"),
        case("an alpha that is text", file(PAIR, {"lora_adapter_metadata": '{"lora_alpha": "8"}'}), "lora_alpha", "expected a number"),
        case("PEFT's config cut off", peft('{"r": 4,'), "adapter_config.json"),
        case("PEFT's config with an alpha of text", peft('{"lora_alpha": "8"}'), "adapter_config.json", "lora_alpha"),
        case("PEFT's config with DoRA", peft('{"use_dora": true}'), "adapter_config.json", "DoRA"),
        case("a folder without weights", lambda path: path.mkdir(), "contains no .safetensors file"),
        case("no file", lambda path: None, "No such file"),
        case("empty", content(b""), "too few for a header"),
        case("a web page", content(HTML), "is this a safetensors file"),
        case("a pickle", content(b"PK\x03\x04" + bytes(100)), "is a PyTorch pickle"),
        case("a pointer of Git LFS", content(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        case("header cut off", cut(60), "truncated"),
        case("data cut off", cut(4000), DOWN, "truncated"),
        case("header is no JSON", header("low rank"), "header"),
        case("header is a number", header("17"), "header"),
        case("header without offsets", header(json.dumps({DOWN: {"dtype": "F32", "shape": [4, 384]}})), DOWN, "data_offsets"),
    ]  # fmt: skip
